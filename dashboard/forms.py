"""Forms: they check and name what people type; the domain decides what it means."""

import secrets

from django import forms
from django.utils.translation import gettext_lazy as _

from fleet.outbox import Policy
from fleet.phones import Mode, Phone

# Without the characters that people mistake for others on a phone's screen.
LEGIBLE = "abcdefghjkmnpqrstuvwxyz23456789"


def generated_password():
    """Twelve characters that are easy to type on a phone: 59 random bits."""
    return "".join(secrets.choice(LEGIBLE) for _place in range(12))


class Styled:
    """Gives widgets their looks, and names help and errors to screen readers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, forms.CheckboxInput):
                continue
            look = "form-select" if isinstance(widget, forms.Select) else "form-control"
            widget.attrs.setdefault("class", look)

    def clean(self):
        cleaned = super().clean()
        for name, value in cleaned.items():
            if isinstance(value, str) and "\x00" in value:
                self.add_error(name, _("It holds a character that cannot be kept."))
        return cleaned


class PhoneForm(Styled, forms.Form):
    label = forms.CharField(
        label=_("Name"),
        max_length=100,
        required=False,
        help_text=_("What people call it, such as the place it stands."),
    )
    number = forms.CharField(
        label=_("Phone number"),
        max_length=64,
        help_text=_("Exactly as in the app under “Your phone number”: the phone signs with these very characters."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "tel"}),
    )


class AddPhone(PhoneForm):
    password = forms.CharField(
        label=_("Password"),
        max_length=128,
        strip=False,
        help_text=_("Made for you; any other will do. It is shown once, on the next page, to be typed into the app."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )


class EditPhone(PhoneForm):
    password = forms.CharField(
        label=_("New password"),
        max_length=128,
        strip=False,
        required=False,
        help_text=_("Left empty, it stays. A new one counts at once: the phone is refused until it is typed there."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    mode = forms.ChoiceField(
        label=_("What it may do"),
        choices=[
            (Mode.ACTIVE, _("Active: sends and receives")),
            (Mode.PAUSED, _("Paused: gets no new messages, still receives")),
            (Mode.DRAINING, _("Draining: finishes what it holds, gets nothing new")),
            (Mode.DISABLED, _("Disabled: gets nothing; what it receives is still kept")),
        ],
    )
    long_poll = forms.BooleanField(
        label=_("Deliver at once"),
        required=False,
        help_text=_("Holds the phone’s idle polls until there is a message. Switch off for networks that cut them."),
    )


class PhoneChoice(forms.ModelChoiceField):
    def label_from_instance(self, phone):
        return f"{phone.label} · {phone.number}" if phone.label else phone.number


class SendMessage(Styled, forms.Form):
    to = forms.CharField(
        label=_("To"), max_length=64, widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel"})
    )
    text = forms.CharField(label=_("Text"), max_length=20_000, strip=False, widget=forms.Textarea(attrs={"rows": 5}))
    phone = PhoneChoice(
        label=_("From"),
        queryset=Phone.objects.none(),
        required=False,
        empty_label=_("The phone with the least to do"),
    )
    priority = forms.TypedChoiceField(
        label=_("Priority"),
        coerce=int,
        initial="0",
        choices=[("10", _("High: before the others")), ("0", _("Normal")), ("-10", _("Low: after the others"))],
    )
    policy = forms.ChoiceField(
        label=_("If unsure whether it left"),
        initial=Policy.NEVER_TWICE,
        choices=[
            (Policy.NEVER_TWICE, _("Never send it twice")),
            (Policy.AT_LEAST_ONCE, _("Send it again, perhaps twice")),
        ],
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        choices = Phone.objects.in_fleet().defer("password", "previous_password")
        self.fields["phone"].queryset = choices.order_by("label", "number")
