"""The inventory source "cloud": what a cloud's own command line exported, recognised by what is in it.

Several exports may stand in one file, one after the other (`cat *.json > all.json`): instances, volumes, databases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.cloud import alibaba, aws, azure, google, huawei, tencent
from tongchou.integrations.cloud.account import Account
from tongchou.inventory import documents, source_settings
from tongchou.inventory.documents import FILE_SETTINGS, Document
from tongchou.inventory.gather import Gathering, at, text
from tongchou.inventory.observation import Observation


def _has(*path: str) -> Callable[[Any], bool]:
    return lambda document: isinstance(at(document, *path), list)


@dataclass(frozen=True, slots=True)
class Format:
    """One form of export: the command that makes it, how it is recognised, what reads it."""

    command: str
    cloud: str
    fits: Callable[[Any], bool]
    read: Callable[[Any, Account], None]


_TENCENT = "tencentcloud"
FORMATS = (
    Format("aws ec2 describe-instances", "aws", _has("Reservations"), aws.instances),
    Format("aws ec2 describe-volumes", "aws", _has("Volumes"), aws.volumes),
    Format("aws ec2 describe-subnets", "aws", _has("Subnets"), aws.subnets),
    Format("aws ec2 describe-vpcs", "aws", _has("Vpcs"), aws.vpcs),
    Format("aws elbv2 describe-load-balancers", "aws", _has("LoadBalancers"), aws.load_balancers),
    Format("aws elb describe-load-balancers", "aws", _has("LoadBalancerDescriptions"), aws.classic_load_balancers),
    Format("aws rds describe-db-instances", "aws", _has("DBInstances"), aws.databases),
    Format("AWS Config snapshot", "aws", _has("configurationItems"), aws.config_snapshot),
    Format("az vm list -d, az resource list", "azure", azure.is_list, azure.resources),
    Format("gcloud compute … list, gcloud asset list", "gcp", google.is_list, google.resources),
    Format("aliyun ecs DescribeInstances", "alicloud", _has("Instances", "Instance"), alibaba.instances),
    Format("aliyun ecs DescribeDisks", "alicloud", _has("Disks", "Disk"), alibaba.disks),
    Format("aliyun vpc DescribeVpcs", "alicloud", _has("Vpcs", "Vpc"), alibaba.vpcs),
    Format("aliyun vpc DescribeVSwitches", "alicloud", _has("VSwitches", "VSwitch"), alibaba.vswitches),
    Format(
        "aliyun slb DescribeLoadBalancers", "alicloud", _has("LoadBalancers", "LoadBalancer"), alibaba.load_balancers
    ),
    Format("aliyun rds DescribeDBInstances", "alicloud", _has("Items", "DBInstance"), alibaba.databases),
    Format("aliyun r-kvstore DescribeInstances", "alicloud", _has("Instances", "KVStoreInstance"), alibaba.caches),
    Format(
        "tccli cvm DescribeInstances, redis DescribeInstances", _TENCENT, tencent.has("InstanceSet"), tencent.instances
    ),
    Format("tccli cbs DescribeDisks", _TENCENT, tencent.has("DiskSet"), tencent.disks),
    Format("tccli vpc DescribeVpcs", _TENCENT, tencent.has("VpcSet"), tencent.vpcs),
    Format("tccli vpc DescribeSubnets", _TENCENT, tencent.has("SubnetSet"), tencent.subnets),
    Format("tccli clb DescribeLoadBalancers", _TENCENT, tencent.has("LoadBalancerSet"), tencent.load_balancers),
    Format("tccli cdb DescribeDBInstances", _TENCENT, tencent.is_databases, tencent.databases),
    Format("hcloud ECS ListServersDetails", "huaweicloud", _has("servers"), huawei.servers),
    Format("hcloud EVS ListVolumes", "huaweicloud", _has("volumes"), huawei.volumes),
    Format("hcloud VPC ListVpcs", "huaweicloud", _has("vpcs"), huawei.vpcs),
    Format("hcloud VPC ListSubnets", "huaweicloud", _has("subnets"), huawei.subnets),
    Format("hcloud ELB ListLoadBalancers", "huaweicloud", _has("loadbalancers"), huawei.load_balancers),
    Format("hcloud RDS ListInstances, DCS ListInstances", "huaweicloud", huawei.is_of_services, huawei.services),
)
# of which a page says that there are more
MORE = ("NextToken", "nextToken", "Marker", "NextMarker", "nextPageToken")


class CloudSource:
    """Reads exports; it holds no credentials of a cloud, whoever exports does."""

    kind: str = "cloud"
    title: Any = _("Export of a cloud (AWS, Azure, Google, Alibaba, Tencent, Huawei)")
    precedence: int = 220
    interval_seconds: float = 600.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **FILE_SETTINGS,
            "owner_tag": {
                "type": "string",
                "maxLength": 120,
                "description": _("the tag whose value is the name of the team that owns a thing"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Read the file of the settings once; raises Problem, and then nothing known is touched."""
        return self.read(settings, documents.of_settings(settings), source=source)

    def read(self, settings: Mapping[str, Any], document: Document, *, source: str) -> Observation:
        """Return what exports say exists; raises Invalid that lists the forms when one is none of them."""
        gathering = Gathering()
        for place, each in enumerate(documents.jsons_of(document)):
            form = recognised(each, place)
            if any(text(each, name) for name in MORE):
                gathering.partial(f"{form.command}: the file holds one page of several")
            form.read(each, Account(gathering, form.cloud, settings.get("owner_tag", "")))
        return gathering.observation()


SOURCE = CloudSource()


def recognised(document: Any, place: int = 0) -> Format:
    """Return the form of an export; raises Invalid."""
    found = next((each for each in FORMATS if each.fits(document)), None)
    if found is not None and document != []:
        return found
    names = ", ".join(document)[:200] if isinstance(document, dict) else type(document).__name__
    raise Invalid(
        "cloud.format",
        _("This is no export of a cloud that is known here."),
        field=f"[{place}]",
        value=names,
        remedy=_("Hand over the JSON that one of these prints: %(known)s.")
        % {"known": "; ".join(each.command for each in FORMATS)},
    )
