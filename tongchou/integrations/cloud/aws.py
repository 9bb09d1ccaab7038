"""AWS: what `aws ec2|elbv2|elb|rds describe-...` prints, and snapshots of AWS Config. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tongchou.integrations.cloud.account import GIB, Account, pairs
from tongchou.inventory.gather import at, flag, items, number, text, texts, words


def _tags(found: Any, name: str = "Tags") -> dict[str, str]:
    return pairs(items(found, name), "Key", "Value")


def _region(zone: str) -> str:
    return zone[:-1] if zone and zone[-1].isalpha() else zone


def instances(document: Any, account: Account) -> None:
    """Machines with their volumes and subnets; terminated ones are gone already."""
    for reservation in items(document, "Reservations"):
        for each in items(reservation, "Instances"):
            if text(each, "State", "Name") != "terminated":
                _instance(each, text(reservation, "OwnerId"), account)


def _instance(each: Mapping[str, Any], owner_id: str, account: Account) -> None:
    id_, tags = text(each, "InstanceId"), _tags(each)
    zone = text(each, "Placement", "AvailabilityZone")
    cores, threads = number(each, "CpuOptions", "CoreCount"), number(each, "CpuOptions", "ThreadsPerCore")
    attributes = {
        "account": owner_id,
        "size": text(each, "InstanceType"),
        "image": text(each, "ImageId"),
        "state": text(each, "State", "Name"),
        "zone": zone,
        "region": _region(zone),
        "private_ip": text(each, "PrivateIpAddress"),
        "public_ip": text(each, "PublicIpAddress"),
        "dns_name": text(each, "PrivateDnsName"),
        "architecture": text(each, "Architecture"),
        "os": text(each, "PlatformDetails"),
        "cpu_count": cores * threads if cores and threads else None,
    }
    account.add("vm", [id_], tags.get("Name", ""), attributes, tags)
    account.relate("uses", id_, text(each, "SubnetId") or text(each, "VpcId"))
    for device in items(each, "BlockDeviceMappings"):
        account.relate("stores_in", id_, text(device, "Ebs", "VolumeId"))


def volumes(document: Any, account: Account) -> None:
    """Volumes and which machines have them."""
    for each in items(document, "Volumes"):
        id_, tags, zone = text(each, "VolumeId"), _tags(each), text(each, "AvailabilityZone")
        attributes = {
            "size_bytes": number(each, "Size", times=GIB),
            "type": text(each, "VolumeType"),
            "state": text(each, "State"),
            "zone": zone,
            "region": _region(zone),
            "encrypted": flag(each, "Encrypted"),
            "iops": number(each, "Iops"),
        }
        account.add("volume", [id_], tags.get("Name", ""), attributes, tags)
        for attachment in items(each, "Attachments"):
            account.relate("stores_in", text(attachment, "InstanceId"), id_)


def subnets(document: Any, account: Account) -> None:
    """Subnets and their VPCs."""
    for each in items(document, "Subnets"):
        id_, tags = text(each, "SubnetId"), _tags(each)
        zone = text(each, "AvailabilityZone")
        attributes = {"prefix": text(each, "CidrBlock"), "zone": zone, "region": _region(zone)}
        account.add("subnet", [id_, text(each, "SubnetArn")], tags.get("Name", ""), attributes, tags)
        account.relate("uses", id_, text(each, "VpcId"))


def vpcs(document: Any, account: Account) -> None:
    """Virtual networks."""
    for each in items(document, "Vpcs"):
        tags = _tags(each)
        attributes = {"prefix": text(each, "CidrBlock"), "state": text(each, "State")}
        account.add("network", [text(each, "VpcId")], tags.get("Name", ""), attributes, tags)


def load_balancers(document: Any, account: Account) -> None:
    """Load balancers of the second generation (application, network, gateway)."""
    for each in items(document, "LoadBalancers"):
        arn, zones = text(each, "LoadBalancerArn"), items(each, "AvailabilityZones")
        attributes = {
            "dns_name": text(each, "DNSName"),
            "type": text(each, "Type"),
            "scheme": text(each, "Scheme"),
            "state": text(each, "State", "Code"),
            "region": arn.split(":")[3] if arn.count(":") > 3 else "",
            "zones": sorted({text(zone, "ZoneName") for zone in zones} - {""}),
        }
        account.add("load_balancer", [arn], text(each, "LoadBalancerName"), attributes)
        for zone in zones:
            account.relate("uses", arn, text(zone, "SubnetId"))


def classic_load_balancers(document: Any, account: Account) -> None:
    """Load balancers of the first generation: they have no ARN, their DNS name is unique."""
    for each in items(document, "LoadBalancerDescriptions"):
        id_ = text(each, "DNSName")
        attributes = {
            "dns_name": id_,
            "type": "classic",
            "scheme": text(each, "Scheme"),
            "zones": texts(each, "AvailabilityZones"),
        }
        account.add("load_balancer", [id_], text(each, "LoadBalancerName"), attributes)
        for target in items(each, "Instances"):
            account.relate("calls", id_, text(target, "InstanceId"))
        for subnet in texts(each, "Subnets"):
            account.relate("uses", id_, subnet)


def databases(document: Any, account: Account) -> None:
    """Databases of RDS and what they are copies of."""
    names = {text(each, "DBInstanceIdentifier"): text(each, "DBInstanceArn") for each in items(document, "DBInstances")}
    for each in items(document, "DBInstances"):
        arn, zone = text(each, "DBInstanceArn"), text(each, "AvailabilityZone")
        attributes = {
            "engine": text(each, "Engine"),
            "engine_version": text(each, "EngineVersion"),
            "size": text(each, "DBInstanceClass"),
            "state": text(each, "DBInstanceStatus"),
            "endpoint": text(each, "Endpoint", "Address"),
            "port": number(each, "Endpoint", "Port"),
            "size_bytes": number(each, "AllocatedStorage", times=GIB),
            "zone": zone,
            "region": _region(zone),
            "multi_zone": flag(each, "MultiAZ"),
        }
        account.add("database", [arn], text(each, "DBInstanceIdentifier"), attributes, _tags(each, "TagList"))
        account.relate("uses", arn, text(each, "DBSubnetGroup", "VpcId"))
        origin = text(each, "ReadReplicaSourceDBInstanceIdentifier")
        account.relate("replicates_to", names.get(origin, origin if origin.startswith("arn:") else ""), arn)


# --- AWS Config -------------------------------------------------------------------------------------------------------

CONFIG_KINDS = {
    "AWS::EC2::Instance": "vm",
    "AWS::EC2::Volume": "volume",
    "AWS::EC2::VPC": "network",
    "AWS::EC2::Subnet": "subnet",
    "AWS::EC2::NetworkInterface": "interface",
    "AWS::EC2::EIP": "ip_address",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "load_balancer",
    "AWS::ElasticLoadBalancing::LoadBalancer": "load_balancer",
    "AWS::RDS::DBInstance": "database",
    "AWS::RDS::DBCluster": "database",
    "AWS::ElastiCache::CacheCluster": "cache",
    "AWS::SQS::Queue": "queue",
    "AWS::S3::Bucket": "bucket",
    "AWS::EKS::Cluster": "k8s_cluster",
    "AWS::ECS::Cluster": "cluster",
    "AWS::ACM::Certificate": "certificate",
}
# (kind of the item, kind of what it is related to) -> relation, from the item or, with ^, to it
CONFIG_RELATIONS = {
    ("vm", "subnet"): "uses",
    ("vm", "volume"): "stores_in",
    ("volume", "vm"): "^stores_in",
    ("subnet", "network"): "uses",
    ("interface", "vm"): "part_of",
    ("vm", "interface"): "^part_of",
    ("load_balancer", "subnet"): "uses",
    ("database", "network"): "uses",
}
CONFIG_GONE = frozenset({"ResourceDeleted", "ResourceDeletedNotRecorded", "ResourceNotRecorded"})
_CONFIG_FACTS: dict[str, Callable[[Any], Any]] = {
    "size": lambda found: text(found, "instanceType") or text(found, "dBInstanceClass"),
    "image": lambda found: text(found, "imageId"),
    "private_ip": lambda found: text(found, "privateIpAddress"),
    "prefix": lambda found: text(found, "cidrBlock"),
    "public_ip": lambda found: text(found, "publicIpAddress") or text(found, "publicIp"),
    "engine": lambda found: text(found, "engine"),
    "engine_version": lambda found: text(found, "engineVersion"),
    "type": lambda found: text(found, "volumeType"),
    "dns_name": lambda found: text(found, "dNSName") or text(found, "privateDnsName"),
}


def config_snapshot(document: Any, account: Account) -> None:
    """Items of a snapshot of AWS Config; deleted ones, and sorts of no interest to operations, are left out."""
    for each in items(document, "configurationItems"):
        kind = CONFIG_KINDS.get(text(each, "resourceType"))
        if kind is None or text(each, "configurationItemStatus") in CONFIG_GONE:
            continue
        id_, arn = text(each, "resourceId"), text(each, "ARN") or text(each, "arn")
        ids = [id_] if id_.partition("-")[0] in ("i", "vol", "vpc", "subnet", "eni", "eipalloc") else []
        tags = words(each, "tags")
        configuration = at(each, "configuration")
        if isinstance(configuration, str):  # the API gives the same item with text in it
            try:
                configuration = json.loads(configuration)
            except (ValueError, RecursionError):
                configuration = {}
        attributes = {name: read(configuration) for name, read in _CONFIG_FACTS.items()} | {
            "account": text(each, "awsAccountId") or text(each, "accountId"),
            "region": text(each, "awsRegion"),
            "zone": text(each, "availabilityZone"),
            "size_bytes": number(configuration, "size", times=GIB) if kind == "volume" else None,
        }
        name = tags.get("Name") or text(each, "resourceName") or id_
        account.add(kind, [*ids, *([arn] if arn else [id_])], name, attributes, tags)
        for other in items(each, "relationships"):
            relation = CONFIG_RELATIONS.get((kind, CONFIG_KINDS.get(text(other, "resourceType"), "")))
            if relation:
                ends = (ids[0] if ids else arn or id_, text(other, "resourceId"))
                account.relate(relation.lstrip("^"), *(reversed(ends) if relation.startswith("^") else ends))
