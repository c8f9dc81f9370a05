"""The outbox: the list, one message with its timeline, sending one, cancelling one."""

from django.contrib import messages as notices
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from dashboard import pages, selections
from dashboard.context import live_url
from dashboard.forms import SendMessage
from dashboard.fragments import page_or_region
from fleet import outbox, segments, tasks
from fleet.outbox import Message


def index(request):
    shown = selections.Messages(request.GET)
    context = {"list": shown, "rows": shown.rows(), "choices": shown.choices(), "q": shown.q,
               "live_url": live_url("messages", shown.live_query)}  # fmt: skip
    return page_or_region(request, "messages/index.html", "messages/_region.html", context)


def detail(request, pk):
    message = get_object_or_404(Message, pk=pk)
    context = {**pages.message_body(message), "live_url": live_url("message", id=pk)}
    return page_or_region(request, "messages/detail.html", "messages/_detail_region.html", context)


def new(request):
    form = SendMessage(
        request.POST or None, initial={"to": request.GET.get("to", ""), "phone": request.GET.get("phone")}
    )
    if request.method == "POST" and form.is_valid():
        try:
            message = outbox.enqueue(**form.cleaned_data, user=request.user)
        except outbox.Refused as problem:
            form.add_error(None, str(problem))
        else:
            tasks.assign.delay_on_commit()
            return redirect("dashboard:message", message.pk)
    context = {"form": form, "cost": segments.cost(form["text"].value() or "")}
    return render(request, "messages/new.html", context, status=422 if form.errors else 200)


@require_POST
def cost(request):
    """What the text typed so far would take, as a line under it."""
    return render(request, "messages/_cost.html", {"cost": segments.cost(request.POST.get("text", "")[:20_000])})


CANCELLED = {
    "cancelled": (notices.success, _("It is cancelled; it never left.")),
    "asked": (notices.success, _("The phone was asked to give it back. The timeline shows whether it could.")),
    "too_late": (notices.warning, _("Too late: it has its outcome already.")),
    "beyond_recall": (notices.warning, _("It is on a phone whose app cannot be asked to give it back.")),
}


@require_POST
def cancel(request, pk):
    result = outbox.cancel(get_object_or_404(Message, pk=pk), request.user)
    notice, text = CANCELLED[result]
    notice(request, text)
    return redirect("dashboard:message", pk)
