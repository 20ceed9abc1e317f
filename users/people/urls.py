"""URLs of users.people."""

from django.urls import path

from . import own_field_views, own_views, views

urlpatterns = [
    path("sign-in/", own_views.SignIn.as_view(), name="sign-in"),
    path("me/", own_views.me, name="me"),
    path("me/sms/", own_views.me_sms, name="me-sms"),
    path("me/prove/", own_views.prove, name="prove"),
    path("people/", views.people, name="people"),
    path("people/new/", views.person_new, name="person-new"),
    path("people/<int:pk>/", views.person, name="person"),
    path("people/<int:pk>/edit/", views.person_edit, name="person-edit"),
    path("people/<int:pk>/forbid/", views.person_forbid, name="person-forbid"),
    path("people/<int:pk>/allow/", views.person_allow, name="person-allow"),
    path("people/<int:pk>/opt-in/", views.person_opt_in, name="person-opt-in"),
    path("people/<int:pk>/share-phone/", views.person_share_phone, name="person-share-phone"),
    path("people/<int:pk>/role/", views.person_role, name="person-role"),
    path("people/<int:pk>/rights/", views.person_rights, name="person-rights"),
    path("people/<int:pk>/access/", views.person_access, name="person-access"),
    path("people/<int:pk>/password/", views.person_password, name="person-password"),
    path("people/<int:pk>/password-link/", views.person_password_link, name="person-password-link"),
    path("people/<int:pk>/revoke-links/", views.person_revoke_links, name="person-revoke-links"),
    path("people/fields/", own_field_views.own_fields, name="own-fields"),
    path("people/fields/<int:pk>/", own_field_views.own_field, name="own-field"),
    path(
        "people/fields/<int:pk>/delete/", own_field_views.own_field_delete, name="own-field-delete"
    ),
]
