"""The mail of a notification: text and HTML in one language; headers cannot be forged by labels or names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from tongchou.alerting.ports import AlertMessage, Message
from tongchou.core.inbox_mail import Letter

MAX_SUBJECT = 200
MAX_LISTED = 50
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """Text without line breaks and control characters, as a header wants it."""
    return _BREAKS.sub(" ", text).strip()


def compose(message: Message, *, sender: str, to: Sequence[str], language: str) -> EmailMessage:
    """The mail; the same ``message`` always has the same Message-ID, and all of a group refer to the same root.

    ``sender`` and ``to`` are bare addresses that ``channel`` has checked.
    """
    domain = sender.rpartition("@")[2]
    root = f"<group.{message.thread or message.id}@{domain}>"
    mail = EmailMessage(policy=SMTP)
    with override(language):
        mail["Subject"] = _subject(message)
        mail["From"] = Address(display_name=one_line(f"Tongchou {message.receiver}"), addr_spec=sender)
        mail["To"] = [Address(addr_spec=each) for each in to]
        mail["Date"] = format_datetime(timezone.now())
        mail["Message-ID"] = f"<{message.id}@{domain}>"
        mail["In-Reply-To"] = root
        mail["References"] = root
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(_text(message))
        mail.add_alternative(_html(message, language), subtype="html")
    return mail


def compose_letter(letter: Letter, *, sender: str) -> EmailMessage:
    """The mail of a letter: text and HTML; nothing in it is loaded from anywhere."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    with override(letter.language):
        mail["Subject"] = one_line(letter.subject)[:MAX_SUBJECT]
        mail["From"] = Address(display_name="Tongchou", addr_spec=sender)
        mail["To"] = [Address(addr_spec=letter.to)]
        mail["Date"] = format_datetime(timezone.now())
        mail["Message-ID"] = f"<{letter.id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        text = [f"{one_line(line)}\n  {url}\n" for line, url in letter.lines]
        mail.set_content("\n".join([*text, f"{letter.footer[0]}: {letter.footer[1]}", ""]))
        rows = format_html_join(
            "", '<li style="margin-bottom:8px"><a href="{}">{}</a></li>', [(u, t) for t, u in letter.lines]
        )
        html = format_html(
            '<!doctype html><html lang="{}"><body style="font-family:sans-serif;font-size:14px"><ul>{}</ul>'
            '<p><a href="{}">{}</a></p></body></html>',
            letter.language,
            rows,
            letter.footer[1],
            letter.footer[0],
        )
        mail.add_alternative(html, subtype="html")
    return mail


def _subject(message: Message) -> str:
    firing = sum(alert.status == "firing" for alert in message.alerts) + message.truncated
    state = _("[RESOLVED]") if message.status == "resolved" else _("[FIRING:%(count)s]") % {"count": firing}
    name = " ".join(f"{value}" for _name, value in sorted(message.group_labels.items()))
    return one_line(f"{state} {name} {_reason(message)}")[:MAX_SUBJECT]


def _reason(message: Message) -> str:
    reasons = {"update": _("update"), "repeat": _("reminder"), "leftover": _("still firing")}
    return f"({reasons[message.reason]})" if message.reason in reasons else ""


def _explained(message: Message) -> str:
    count = sum(each.alerts for each in message.explained)
    if not count:
        return ""
    return ngettext(
        "%(count)s alert of others is explained by this and not sent:",
        "%(count)s alerts of others are explained by this and not sent:",
        count,
    ) % {"count": count}


def _truncated(message: Message) -> str:
    left = message.truncated + max(0, len(message.alerts) - MAX_LISTED)
    return _("and %(count)s more") % {"count": left} if left else ""


def _title(alert: AlertMessage) -> str:
    return alert.annotations.get("summary") or alert.labels.get("alertname", "")


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _status(alert: AlertMessage) -> str:
    return _("Resolved") if alert.status == "resolved" else _("Firing")


def _when(alert: AlertMessage) -> str:
    began = alert.starts_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return began if alert.ends_at is None else f"{began} – {alert.ends_at.strftime('%Y-%m-%d %H:%M:%S UTC')}"


def _text(message: Message) -> str:
    lines = []
    for alert in message.alerts[:MAX_LISTED]:
        lines += [f"{_status(alert)}: {one_line(_title(alert))}", f"  {one_line(_labels(alert.labels))}"]
        if description := alert.annotations.get("description"):
            lines.append(f"  {one_line(description)}")
        lines += [f"  {_when(alert)}", ""]
    lines += [_truncated(message)] if _truncated(message) else []
    if message.explained:
        lines.append(_explained(message))
        lines += [f"  {one_line(each.group_key)}: {each.alerts}" for each in message.explained[:MAX_LISTED]]
    return "\n".join([*lines, "", message.url, ""])


def _html(message: Message, language: str) -> str:
    rows = format_html_join("", "{}", ((_row(alert),) for alert in message.alerts[:MAX_LISTED]))
    explained = format_html_join(
        "", "<li>{}: {}</li>", ((each.group_key, each.alerts) for each in message.explained[:MAX_LISTED])
    )
    return format_html(
        '<!doctype html><html lang="{}"><body style="font-family:sans-serif;font-size:14px"><table cellpadding="6" '
        'style="border-collapse:collapse">{}</table><p>{}</p>{}<p><a href="{}">{}</a></p></body></html>',
        language,
        rows,
        _truncated(message),
        format_html("<p>{}</p><ul>{}</ul>", _explained(message), explained) if message.explained else "",
        message.url,
        _("Open in Tongchou"),
    )


def _row(alert: AlertMessage) -> SafeString:
    colour = "#1a7f37" if alert.status == "resolved" else "#c62828"
    description = alert.annotations.get("description", "")
    return format_html(
        '<tr><td style="color:{};vertical-align:top"><b>{}</b></td>'
        "<td><b>{}</b><br>{}{}<br><small>{}</small></td></tr>",
        colour,
        _status(alert),
        _title(alert),
        format_html("{}<br>", description) if description else "",
        _labels(alert.labels),
        _when(alert),
    )
