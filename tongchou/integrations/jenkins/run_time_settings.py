"""The sentences for why a jenkins step failed."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.runbooks.reasons import declare

declare(
    {
        "jenkins_server": _("There is no Jenkins server named %(server)s, or it is switched off."),
        "jenkins_moved": _("The server %(server)s has another address than when this step was resolved."),
        "jenkins_failed": _("%(server)s gave no usable answer (%(reason)s): %(why)s"),
        "jenkins_not_buildable": _("The job %(job)s cannot be built: it is switched off, or it is a folder."),
        "jenkins_parameter": _("The job %(job)s has no parameter %(names)s; Jenkins would leave it out silently."),
        "jenkins_choice": _("The parameter %(name)s of %(job)s is one of: %(choices)s."),
        "jenkins_in_doubt": _(
            "Nobody knows whether %(server)s took the request for %(job)s: %(why)s. Look there before it is tried "
            "again; with a parameter %(parameter)s in the job this can be told."
        ),
        "jenkins_dequeued": _("The request for %(job)s was taken out of the queue of %(server)s."),
        "jenkins_lost": _("%(server)s no longer knows what became of %(what)s."),
        "jenkins_result": _("%(job)s #%(number)s ended with %(result)s; expected %(expected)s."),
        "jenkins_stopped": _("%(what)s was not over after %(seconds)s s and was stopped. %(why)s"),
        "jenkins_not_stopped": _("%(what)s was not over after %(seconds)s s; it could not be stopped. %(why)s"),
        "jenkins_left": _("%(what)s was not over after %(seconds)s s; it goes on there. %(why)s"),
        "jenkins_cancelled": _("The run was cancelled; %(what)s was stopped."),
        "jenkins_cancelled_left": _("The run was cancelled; %(what)s goes on there."),
    },
    definite=("jenkins_result", "jenkins_dequeued", "jenkins_stopped", "jenkins_cancelled"),
)
