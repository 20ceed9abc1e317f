"""Formats money for pages."""

from decimal import Decimal

from django import template
from django.conf import settings
from django.utils.formats import number_format

register = template.Library()

SIGNS = {"RUB": "₽", "USD": "$", "EUR": "€", "KZT": "₸", "BYN": "Br", "UAH": "₴"}


@register.filter
def money(amount: Decimal, currency: str = "") -> str:
    """10,030.50 ₽: grouped as the reader's language does; without cents if there are none."""
    currency = currency or settings.CURRENCY
    amount = amount.quantize(Decimal("0.01"))
    places = 0 if amount == amount.to_integral_value() else 2
    number = number_format(amount, decimal_pos=places, force_grouping=True)
    return f"{number}\u00a0{SIGNS.get(currency, currency)}"
