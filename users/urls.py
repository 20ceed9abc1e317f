"""Addresses of this room."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from .access import password_views
from .consent import views as confirmation_views
from .people import own_field_views, own_views, views
from .segments import group_views
from .segments import views as segment_views

urlpatterns = [
    path("sign-in/", own_views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("me/", own_views.me, name="me"),
    path("me/sms/", own_views.me_sms, name="me-sms"),
    path("me/phone/", confirmation_views.me_phone, name="me-phone"),
    path("me/phone/send/", confirmation_views.me_phone_send, name="me-phone-send"),
    path("me/prove/", own_views.prove, name="prove"),
    path("me/password/", password_views.Password.as_view(), name="password"),
    path("password/<str:token>/", password_views.set_password, name="set-password"),
    path("people/", views.people, name="people"),
    path("people/made-up/", password_views.demo_people, name="demo-people"),
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
    path("people/groups/", group_views.groups, name="groups"),
    path("people/groups/new/", group_views.group_new, name="group-new"),
    path("people/groups/<int:pk>/", group_views.group, name="group"),
    path("people/groups/<int:pk>/delete/", group_views.group_delete, name="group-delete"),
    path("people/fields/", own_field_views.own_fields, name="own-fields"),
    path("people/fields/<int:pk>/", own_field_views.own_field, name="own-field"),
    path(
        "people/fields/<int:pk>/delete/", own_field_views.own_field_delete, name="own-field-delete"
    ),
    path("segments/", segment_views.segment_list, name="segments"),
    path("segments/new/", segment_views.segment_new, name="segment-new"),
    path("segments/rule/", segment_views.segment_rule, name="segment-rule"),
    path("segments/count/", segment_views.segment_count, name="segment-count"),
    path("segments/<int:pk>/", segment_views.segment, name="segment"),
    path("segments/<int:pk>/edit/", segment_views.segment_edit, name="segment-edit"),
    path("segments/<int:pk>/delete/", segment_views.segment_delete, name="segment-delete"),
]
