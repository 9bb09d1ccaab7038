"""Deployments that no change explains, where the gate's rule wants one: they wait in the list of drift."""

from __future__ import annotations

from tongchou.changes import drift_actions, gate_reads
from tongchou.changes.drift import Found, Look
from tongchou.changes.drift_actions import Origin
from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.changes.models_drift import DriftSource, DriftWhat
from tongchou.changes.observed_settings import DEPLOYMENTS
from tongchou.changes.quiet import KEEPER
from tongchou.core import settings_store
from tongchou.core.refs import ref


def deployed(*, row: Deployment) -> bool:
    """Note a deployment of a service that is deployed under a change only; tells whether its rule wants a change.

    One that was carried out under a change is noted as explained by it; the others are to be adopted or reverted.
    Idempotent: the version of a service in an environment is one difference.
    """
    service = row.service
    if service is None or row.status != DeploymentStatus.SUCCEEDED:
        return False
    if not settings_store.get(DEPLOYMENTS) or not gate_reads.rule_of(service, row.environment).needs_change:
        return False
    drift_actions.observe(
        actor=KEEPER,
        origin=Origin(DriftSource.OBSERVED, ref(service), service.name, DriftWhat.DEPLOYMENT),
        found=[
            Found(
                subject=service.name,
                path=f"version {row.environment}".strip(),
                expected=row.previous_version,
                observed=row.version,
                resource_id=service.pk,
            )
        ],
        looked=set(),
        look=Look(row.finished_at or row.started_at),
    )
    return True
