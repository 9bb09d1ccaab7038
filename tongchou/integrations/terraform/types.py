"""What the types of resources of the usual providers are to us, and which of their attributes are read at all.

Only what is listed here is read from a state: an attribute that a provider forgot to mark as sensitive (the `output`
of a terraform_data whose input is) does not get out because nobody thought of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# attribute of a state -> our name of the fact, the same for all types; numbers of GiB become bytes
FACTS = {
    "address": "address",
    "address_prefixes": "prefixes",
    "address_space": "prefixes",
    "ami": "image",
    "availability_zone": "zone",
    "allocated_storage": "size_gb",
    "cidr_block": "prefix",
    "cidr": "prefix",
    "disk_size_gb": "size_gb",
    "dns_name": "dns_name",
    "endpoint": "endpoint",
    "engine": "engine",
    "engine_version": "engine_version",
    "flavor_id": "size",
    "flavor_name": "size",
    "fqdn": "dns_name",
    "image": "image",
    "image_id": "image",
    "instance_class": "size",
    "instance_type": "size",
    "ip_address": "address",
    "ip_cidr_range": "prefix",
    "load_balancer_type": "type",
    "location": "region",
    "machine_type": "size",
    "memory": "memory_mb",
    "multi_az": "multi_zone",
    "node_type": "size",
    "not_after": "not_after",
    "private_ip": "private_ip",
    "private_ip_address": "private_ip",
    "private_ips": "private_ips",
    "public_ip": "public_ip",
    "public_ip_address": "public_ip",
    "region": "region",
    "size": "size",
    "sku": "size",
    "vcpu": "cpu_count",
    "vm_size": "size",
    "volume_type": "type",
    "zone": "zone",
}
# of these an address is read: what a container has of it changes at each start
ADDRESSED = frozenset({"ip_address", "load_balancer", "database", "cache"})
# sizes of volumes are numbers, of machines words
SIZE_GB = frozenset({"disk", "volume"})


@dataclass(frozen=True, slots=True)
class Type:
    """What one type of resource is. `links`: attribute that holds the id of another thing -> how it is related.

    A link "<relation>" runs from this thing to the other, "^<relation>" from the other to this. `ids`: attributes that
    hold the id by which the cloud itself knows it.
    """

    kind: str
    links: dict[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ("id",)


@dataclass(frozen=True, slots=True)
class Link:
    """A resource that is only a relation between two others: attributes with their ids, from and to."""

    from_: str
    relation: str
    to: str


IN_SUBNET = {"subnet_id": "uses", "vswitch_id": "uses", "subnetwork": "uses"}
ARN = ("id", "arn")

TYPES: dict[str, Type] = {
    # AWS
    "aws_instance": Type("vm", IN_SUBNET, ARN),
    "aws_ebs_volume": Type("volume", {}, ARN),
    "aws_vpc": Type("network", {}, ARN),
    "aws_subnet": Type("subnet", {"vpc_id": "uses"}, ARN),
    "aws_network_interface": Type("interface", {**IN_SUBNET, "instance": "part_of"}, ARN),
    "aws_eip": Type("ip_address", {"instance": "part_of"}),
    "aws_lb": Type("load_balancer", {"subnets": "uses"}, ("arn",)),
    "aws_alb": Type("load_balancer", {"subnets": "uses"}, ("arn",)),
    "aws_elb": Type("load_balancer", {"instances": "calls", "subnets": "uses"}, ("arn",)),
    "aws_db_instance": Type("database", {}, ("arn",)),
    "aws_rds_cluster": Type("database", {}, ("arn",)),
    "aws_rds_cluster_instance": Type("database", {}, ("arn",)),
    "aws_elasticache_cluster": Type("cache", {}, ("arn",)),
    "aws_elasticache_replication_group": Type("cache", {}, ("arn",)),
    "aws_sqs_queue": Type("queue", {}, ("arn",)),
    "aws_s3_bucket": Type("bucket", {}, ("arn",)),
    "aws_eks_cluster": Type("k8s_cluster", {}, ("arn",)),
    "aws_ecs_cluster": Type("cluster", {}, ("arn",)),
    "aws_acm_certificate": Type("certificate", {}, ("arn",)),
    # Azure
    "azurerm_linux_virtual_machine": Type("vm", {"network_interface_ids": "^part_of"}),
    "azurerm_windows_virtual_machine": Type("vm", {"network_interface_ids": "^part_of"}),
    "azurerm_virtual_machine": Type("vm", {"network_interface_ids": "^part_of"}),
    "azurerm_managed_disk": Type("volume"),
    "azurerm_virtual_network": Type("network"),
    "azurerm_subnet": Type("subnet"),
    "azurerm_network_interface": Type("interface"),
    "azurerm_public_ip": Type("ip_address"),
    "azurerm_lb": Type("load_balancer"),
    "azurerm_application_gateway": Type("load_balancer"),
    "azurerm_mssql_server": Type("database"),
    "azurerm_mssql_database": Type("database", {"server_id": "runs_on"}),
    "azurerm_postgresql_flexible_server": Type("database"),
    "azurerm_mysql_flexible_server": Type("database"),
    "azurerm_redis_cache": Type("cache"),
    "azurerm_kubernetes_cluster": Type("k8s_cluster"),
    "azurerm_storage_account": Type("bucket"),
    # Google
    "google_compute_instance": Type("vm", {}, ("self_link", "id")),
    "google_compute_disk": Type("volume", {}, ("self_link", "id")),
    "google_compute_network": Type("network", {}, ("self_link", "id")),
    "google_compute_subnetwork": Type("subnet", {"network": "uses"}, ("self_link", "id")),
    "google_compute_address": Type("ip_address", {"subnetwork": "uses"}, ("self_link", "id")),
    "google_compute_forwarding_rule": Type("load_balancer", {}, ("self_link", "id")),
    "google_compute_global_forwarding_rule": Type("load_balancer", {}, ("self_link", "id")),
    "google_sql_database_instance": Type("database", {}, ("self_link", "id")),
    "google_redis_instance": Type("cache"),
    "google_container_cluster": Type("k8s_cluster", {}, ("self_link", "id")),
    "google_storage_bucket": Type("bucket", {}, ("self_link", "id")),
    # Alibaba
    "alicloud_instance": Type("vm", IN_SUBNET),
    "alicloud_disk": Type("volume"),
    "alicloud_ecs_disk": Type("volume"),
    "alicloud_vpc": Type("network"),
    "alicloud_vswitch": Type("subnet", {"vpc_id": "uses"}),
    "alicloud_eip_address": Type("ip_address"),
    "alicloud_slb_load_balancer": Type("load_balancer", IN_SUBNET),
    "alicloud_alb_load_balancer": Type("load_balancer", {"vpc_id": "uses"}),
    "alicloud_db_instance": Type("database", IN_SUBNET),
    "alicloud_kvstore_instance": Type("cache", IN_SUBNET),
    "alicloud_cs_managed_kubernetes": Type("k8s_cluster"),
    "alicloud_oss_bucket": Type("bucket"),
    # Tencent
    "tencentcloud_instance": Type("vm", IN_SUBNET),
    "tencentcloud_cbs_storage": Type("volume"),
    "tencentcloud_vpc": Type("network"),
    "tencentcloud_subnet": Type("subnet", {"vpc_id": "uses"}),
    "tencentcloud_eip": Type("ip_address"),
    "tencentcloud_clb_instance": Type("load_balancer", IN_SUBNET),
    "tencentcloud_mysql_instance": Type("database", IN_SUBNET),
    "tencentcloud_redis_instance": Type("cache", IN_SUBNET),
    "tencentcloud_kubernetes_cluster": Type("k8s_cluster"),
    "tencentcloud_cos_bucket": Type("bucket"),
    # Huawei
    "huaweicloud_compute_instance": Type("vm"),
    "huaweicloud_evs_volume": Type("volume"),
    "huaweicloud_vpc": Type("network"),
    "huaweicloud_vpc_subnet": Type("subnet", {"vpc_id": "uses"}),
    "huaweicloud_vpc_eip": Type("ip_address"),
    "huaweicloud_elb_loadbalancer": Type("load_balancer", {"vpc_id": "uses"}),
    "huaweicloud_rds_instance": Type("database", {"vpc_id": "uses"}),
    "huaweicloud_dcs_instance": Type("cache", {"vpc_id": "uses"}),
    "huaweicloud_cce_cluster": Type("k8s_cluster", {"vpc_id": "uses"}),
    "huaweicloud_obs_bucket": Type("bucket"),
    # Kubernetes, known by their names: a state does not tell which cluster it speaks of, the uid does
    "kubernetes_namespace": Type("k8s_namespace"),
    "kubernetes_deployment": Type("deployment"),
    "kubernetes_stateful_set": Type("deployment"),
    "kubernetes_daemonset": Type("deployment"),
    "kubernetes_service": Type("service"),
    "kubernetes_ingress_v1": Type("ingress"),
    # Docker and libvirt
    "docker_container": Type("container"),
    "docker_image": Type("container_image"),
    "docker_network": Type("network"),
    "docker_volume": Type("volume"),
    "libvirt_domain": Type("vm"),
    "libvirt_volume": Type("volume"),
    "libvirt_network": Type("network"),
    "libvirt_pool": Type("storage_pool"),
}

# workloads are one kind; which sort each is
WORKLOADS = {
    "kubernetes_deployment": "Deployment",
    "kubernetes_stateful_set": "StatefulSet",
    "kubernetes_daemonset": "DaemonSet",
}
LINKS: dict[str, Link] = {
    "aws_volume_attachment": Link("instance_id", "stores_in", "volume_id"),
    "aws_eip_association": Link("allocation_id", "part_of", "instance_id"),
    "aws_elb_attachment": Link("elb", "calls", "instance"),
    "azurerm_virtual_machine_data_disk_attachment": Link("virtual_machine_id", "stores_in", "managed_disk_id"),
    "google_compute_attached_disk": Link("instance", "stores_in", "disk"),
    "alicloud_ecs_disk_attachment": Link("instance_id", "stores_in", "disk_id"),
    "alicloud_disk_attachment": Link("instance_id", "stores_in", "disk_id"),
    "alicloud_eip_association": Link("allocation_id", "part_of", "instance_id"),
    "tencentcloud_cbs_storage_attachment": Link("instance_id", "stores_in", "storage_id"),
    "tencentcloud_eip_association": Link("eip_id", "part_of", "instance_id"),
    "huaweicloud_compute_volume_attach": Link("instance_id", "stores_in", "volume_id"),
}

# the first word of a type -> the cloud by whose ids its resources are known to other sources, too
CLOUDS = {
    "aws": "aws",
    "azurerm": "azure",
    "google": "gcp",
    "alicloud": "alicloud",
    "tencentcloud": "tencentcloud",
    "huaweicloud": "huaweicloud",
}
# resources that are nothing one answers for: names drawn by lot, waiting times, keys, files of the state's own machine
NOT_THINGS = frozenset({"random", "null", "time", "tls", "local", "archive", "external", "http", "template"})
