from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("login/", views.login_page, name="login"),
    path("logout/", views.logout, name="logout"),
    path("theme/", views.theme, name="theme"),
    path("language/", views.language, name="language"),
    path("setup/<str:token>/", views.setup, name="setup"),
    path("password/", views.password, name="password"),
    path("tokens/", views.token_list, name="token-list"),
    path("tokens/<int:pk>/revoke/", views.token_revoke, name="token-revoke"),
    path("people/", views.person_list, name="person-list"),
    path("people/<int:pk>/role/", views.person_role, name="person-role"),
    path("people/<int:pk>/active/", views.person_active, name="person-active"),
    path("hosts/", views.host_list, name="host-list"),
    path("hosts/<int:pk>/remove/", views.host_remove, name="host-remove"),
    path("endpoints/", views.endpoint_list, name="endpoint-list"),
    path("endpoints/<slug:name>/", views.endpoint_change, name="endpoint-change"),
    path("endpoints/<slug:name>/check/", views.endpoint_ask, name="endpoint-check"),
    path("endpoints/<slug:name>/remove/", views.endpoint_remove, name="endpoint-remove"),
    path("audit/", views.audit_list, name="audit-list"),
]
