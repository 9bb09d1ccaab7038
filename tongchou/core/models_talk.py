"""Nouns of working together: comments, watches, the inbox, attachments."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.models import Event, User


class Comment(models.Model):
    """What somebody wrote about a noun, in Markdown. Never removed: deleted and hidden ones keep their text, unseen.

    `version` counts the editions; `mentions` holds the names as written ("anna", "Team Blue") of whom it was told.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    on = models.CharField(max_length=140, db_index=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="replies")
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="comments")
    author_name = models.CharField(max_length=150)
    text = models.TextField()
    mentions = models.JSONField(default=list)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    hidden_at = models.DateTimeField(null=True, blank=True)
    hidden_by_name = models.CharField(max_length=150, blank=True, default="")
    hidden_reason = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.author_name} on {self.on}"

    @property
    def shown(self) -> bool:
        """Whether its text may be read by those who see the noun."""
        return self.deleted_at is None and self.hidden_at is None


class CommentEdition(models.Model):
    """The text a comment had before an edit."""

    id = models.BigAutoField(primary_key=True)
    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="editions")
    version = models.PositiveIntegerField()
    text = models.TextField()
    written_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-version"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["comment", "version"], name="core_one_text_an_edition")
        ]

    def __str__(self) -> str:
        return f"{self.comment_id} v{self.version}"


class Reason(models.TextChoices):
    """Why somebody is told of something, or watches it."""

    MENTIONED = "mentioned", _("You were mentioned")
    APPROVAL = "approval", _("Your approval is asked")
    WAITING = "waiting", _("A run waits for an answer")
    DUE = "due", _("It is due")
    ASSIGNED = "assigned", _("It was assigned to you")
    REQUESTED = "requested", _("You asked for it")
    REPLIED = "replied", _("Somebody answered you")
    FINISHED = "finished", _("Work of yours ended")
    COMMENTED = "commented", _("You wrote about it")
    BY_HAND = "by_hand", _("You watch it")
    WATCHED = "watched", _("It is watched by you")


class Watch(models.Model):
    """Who wants to hear of a noun (or of a team's, by its Ref), and why. `muted`: never again by itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="watches")
    ref = models.CharField(max_length=140, db_index=True)
    reason = models.CharField(max_length=12, choices=Reason.choices, default=Reason.BY_HAND)
    muted = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "ref"], name="core_one_watch")]

    def __str__(self) -> str:
        return f"{self.user_id} {'mutes' if self.muted else 'watches'} {self.ref}"


class InboxState(models.TextChoices):
    """unread and later (until its time) wait for the person; read and archived do not."""

    UNREAD = "unread", _("Unread")
    READ = "read", _("Read")
    LATER = "later", _("Later")
    ARCHIVED = "archived", _("Archived")


class InboxItem(models.Model):
    """What one person should know about one noun: everything that happened to it since they last looked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="inbox")
    ref = models.CharField(max_length=140)
    reason = models.CharField(max_length=12, choices=Reason.choices)
    state = models.CharField(max_length=10, choices=InboxState.choices, default=InboxState.UNREAD)
    later_until = models.DateTimeField(null=True, blank=True)
    count = models.PositiveIntegerField(default=1)  # events since it was last read
    last_event = models.ForeignKey(Event, null=True, on_delete=models.SET_NULL, related_name="+")
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now, db_index=True)
    mail_due = models.BooleanField(default=False)
    mail_due_since = models.DateTimeField(null=True, blank=True)  # the first that no mail has told of

    class Meta:
        ordering: ClassVar = ["-last_at", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "ref"], name="core_one_inbox_item")]
        indexes: ClassVar = [
            models.Index(fields=["user", "state", "-last_at"], name="core_inbox_listing"),
            models.Index(fields=["user"], condition=Q(mail_due=True), name="core_inbox_mail_due"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.reason} {self.ref} {self.state}"


class InboxSeen(models.Model):
    """An event that was delivered to a person: a follower that runs again does nothing."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "event"], name="core_told_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.event_id}"


class MailRhythm(models.TextChoices):
    """How often the inbox comes by mail."""

    OFF = "off", _("Never")
    AT_ONCE = "at_once", _("At once")
    HOURLY = "hourly", _("Every hour")
    DAILY = "daily", _("Every day at 8:00")


class InboxPreference(models.Model):
    """What a person chose. Quiet hours are in their time zone; `quiet_from` equal to `quiet_until` means none."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="inbox_preference")
    no_watch = models.JSONField(default=list)  # reasons that start no watch
    mail = models.CharField(max_length=10, choices=MailRhythm.choices, default=MailRhythm.OFF)
    address = models.CharField(max_length=254, blank=True, default="")
    quiet_from = models.PositiveSmallIntegerField(default=0)  # hour of the day
    quiet_until = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mail_problem = models.CharField(max_length=300, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.user_id} {self.mail}"


class Attachment(models.Model):
    """A file of a noun or of one comment on it. The bytes lie in the file store under their SHA-256, once.

    `staged`: uploaded for a comment that is not sent yet; nobody but the uploader sees it, and it is soon forgotten.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    on = models.CharField(max_length=140, db_index=True)
    comment = models.ForeignKey(Comment, null=True, blank=True, on_delete=models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()
    content_type = models.CharField(max_length=80)
    inline = models.BooleanField(default=False)  # a picture that a page may show
    uploaded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="attachments")
    uploaded_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    staged = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} on {self.on}"
