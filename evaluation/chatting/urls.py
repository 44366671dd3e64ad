from django.urls import path

from evaluation.chatting import views

app_name = "chat"
urlpatterns = [
    path("", views.chat, name="chat"),
    path("serving/", views.chat_serving, name="chat-serving"),
    path("serve/", views.chat_serve, name="chat-serve"),
    path("serve/stop/", views.chat_serve_stop, name="chat-serve-stop"),
    path("score/", views.chat_score, name="chat-score"),
]
