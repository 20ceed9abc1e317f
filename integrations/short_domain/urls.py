"""URLs of integrations.short_domain."""

from django.urls import path

from . import views

urlpatterns = [
    path("settings/short-domain/", views.short_domain, name="short-domain"),
    path("echo/<slug:challenge>/", views.echo, name="echo"),
]
