"""Every page, grouped; and of the accounts only signing in, out, and changing one's password."""

from allauth.account import views as account
from django.urls import include, path

from dashboard.views import fleet, incoming, messages, phones, problems

pages = [
    path("", fleet.wall, name="fleet"),
    # Phones
    path("phones/add/", phones.add, name="phone_add"),
    path("phones/<int:pk>/", phones.detail, name="phone"),
    path("phones/<int:pk>/edit/", phones.edit, name="phone_edit"),
    path("phones/<int:pk>/remove/", phones.remove, name="phone_remove"),
    path("phones/<int:pk>/connect/", phones.connect, name="phone_connect"),
    # Messages
    path("messages/", messages.index, name="messages"),
    path("messages/new/", messages.new, name="message_new"),
    path("messages/cost/", messages.cost, name="message_cost"),
    path("messages/<int:pk>/", messages.detail, name="message"),
    path("messages/<int:pk>/cancel/", messages.cancel, name="message_cancel"),
    # What came in
    path("incoming/", incoming.index, name="incoming"),
    path("media/<int:pk>/", incoming.media, name="media"),
    # Requests that were refused
    path("problems/", problems.index, name="problems"),
]

urlpatterns = [
    path("", include((pages, "dashboard"))),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("password/", account.password_change, name="account_change_password"),
]
