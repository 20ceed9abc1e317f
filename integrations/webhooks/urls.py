"""URLs of integrations.webhooks."""

from django.urls import path

from . import keys, views

urlpatterns = [
    path(
        "settings/integrations/<slug:slug>/address/",
        keys.receipt_key_new,
        name="integration-address",
    ),
    path(
        "settings/integrations/<slug:slug>/address/end/",
        keys.receipt_key_end,
        name="integration-address-end",
    ),
    path("hooks/<slug:slug>/<str:key>/", views.receipt, name="receipt-door"),
]
