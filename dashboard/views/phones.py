"""One phone: what it is and does, adding, changing, removing it, and connecting the app to it."""

from django.conf import settings
from django.contrib import messages as notices
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from dashboard import pages, selections
from dashboard.context import live_url
from dashboard.forms import AddPhone, EditPhone, generated_password
from dashboard.fragments import page_or_region
from fleet import outbox, phones
from fleet.phones import Phone

# In the session: the phone whose password the connect page may show, once. Never the password itself.
SHOW_ONCE = "show_password_of"


def detail(request, pk):
    phone = get_object_or_404(Phone, pk=pk)
    context = {
        **pages.phone_facts(phone),
        **pages.phone_events(pk),
        **pages.phone_log(pk),
        **pages.phone_messages(pk),
        **pages.phone_incoming(pk),
        "live_url": live_url("phone", id=pk),
    }
    return page_or_region(request, "phones/detail.html", "phones/_region.html", context)


def add(request):
    initial = {"password": generated_password(), "number": request.GET.get("number", "")[:64]}
    form = AddPhone(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            phone = phones.register(**form.cleaned_data)
        except phones.NumberTaken as problem:
            form.add_error("number", str(problem))
        except ValueError as problem:
            form.add_error(None, str(problem))
        else:
            request.session[SHOW_ONCE] = phone.pk
            return redirect("dashboard:phone_connect", phone.pk)
    return render(request, "phones/add.html", {"form": form}, status=422 if form.errors else 200)


def edit(request, pk):
    phone = get_object_or_404(Phone.objects.in_fleet(), pk=pk)
    names = ("label", "number", "mode", "long_poll")
    form = EditPhone(request.POST or None, initial={name: getattr(phone, name) for name in names})
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in names if form.cleaned_data[name] != getattr(phone, name)}
        if form.cleaned_data["password"]:
            values |= {"password": form.cleaned_data["password"], "previous_password": ""}
        try:
            if values:
                phones.change(phone, **values)
        except phones.NumberTaken as problem:
            form.add_error("number", str(problem))
        else:
            if "password" in values:
                request.session[SHOW_ONCE] = phone.pk
                return redirect("dashboard:phone_connect", phone.pk)
            notices.success(request, _("Saved."))
            return redirect("dashboard:phone", phone.pk)
    phone.refresh_from_db(fields=names)
    return render(request, "phones/edit.html", {"form": form, "phone": phone}, status=422 if form.errors else 200)


def remove(request, pk):
    """Asks first, in numbers; then takes back what the phone has not fetched and archives it."""
    phone = get_object_or_404(Phone.objects.in_fleet(), pk=pk)
    if request.method == "POST":
        if phones.archive(phone):
            outbox.release(phone, "phone removed")
            notices.success(request, _("%s was removed.") % phone.name)
        return redirect("dashboard:fleet")
    [tile] = selections.tiles(Phone.objects.filter(pk=pk))
    return render(request, "phones/remove.html", {"phone": phone, "tile": tile})


@never_cache
def connect(request, pk):
    phone = get_object_or_404(Phone.objects.in_fleet(), pk=pk)
    password = ""
    if request.method == "GET" and not request.htmx and request.session.get(SHOW_ONCE) == pk:
        password = phone.password
        del request.session[SHOW_ONCE]
    urls = pages.server_urls(request)
    context = {
        **pages.connect_status(phone),
        "password": password,
        "urls": urls,
        "only_here": not settings.FLEET_PUBLIC_URLS and any("//localhost" in u or "//127." in u for u in urls),
        "port": settings.PORT,
        "live_url": live_url("connect", id=pk),
    }
    return page_or_region(request, "phones/connect.html", "phones/_connect_status.html", context)
