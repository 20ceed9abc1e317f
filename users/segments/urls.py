"""URLs of users.segments."""

from django.urls import path

from . import group_views, views

urlpatterns = [
    path("people/groups/", group_views.groups, name="groups"),
    path("people/groups/new/", group_views.group_new, name="group-new"),
    path("people/groups/<int:pk>/", group_views.group, name="group"),
    path("people/groups/<int:pk>/delete/", group_views.group_delete, name="group-delete"),
    path("segments/", views.segment_list, name="segments"),
    path("segments/new/", views.segment_new, name="segment-new"),
    path("segments/rule/", views.segment_rule, name="segment-rule"),
    path("segments/count/", views.segment_count, name="segment-count"),
    path("segments/<int:pk>/", views.segment, name="segment"),
    path("segments/<int:pk>/edit/", views.segment_edit, name="segment-edit"),
    path("segments/<int:pk>/delete/", views.segment_delete, name="segment-delete"),
]
