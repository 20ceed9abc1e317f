"""URLs of mailings/composing."""

from django.urls import path

from . import duplicate, saved_texts, views

urlpatterns = [
    path("mailings/new/", views.compose, name="mailing-new"),
    path("mailings/meter/", views.meter, name="mailing-meter"),
    path("mailings/fix/", views.fix, name="mailing-fix"),
    path("mailings/autosave/", views.autosave, name="mailing-autosave-new"),
    path("mailings/texts/", saved_texts.saved_texts, name="saved-texts"),
    path("mailings/texts/new/", saved_texts.saved_text_new, name="saved-text-new"),
    path("mailings/texts/<int:pk>/", saved_texts.saved_text, name="saved-text"),
    path(
        "mailings/texts/<int:pk>/delete/", saved_texts.saved_text_delete, name="saved-text-delete"
    ),
    path("mailings/<int:pk>/autosave/", views.autosave, name="mailing-autosave"),
    path("mailings/<int:pk>/copy/", duplicate.copy, name="mailing-copy"),
    path("mailings/<int:pk>/edit/", views.compose, name="mailing-edit"),
]
