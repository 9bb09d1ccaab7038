"""What the clouds' command lines print, shortened: field for field as their references tell."""

from __future__ import annotations

from typing import Any

CANARY = "canary-9b2"

AWS_INSTANCES: dict[str, Any] = {
    "Reservations": [
        {
            "ReservationId": "r-1",
            "OwnerId": "123456789012",
            "Instances": [
                {
                    "InstanceId": "i-0a1",
                    "InstanceType": "m5.large",
                    "ImageId": "ami-1",
                    "State": {"Code": 16, "Name": "running"},
                    "PrivateIpAddress": "10.0.1.5",
                    "PublicIpAddress": "203.0.113.5",
                    "PrivateDnsName": "ip-10-0-1-5.eu-west-1.compute.internal",
                    "SubnetId": "subnet-1",
                    "VpcId": "vpc-1",
                    "Architecture": "x86_64",
                    "PlatformDetails": "Linux/UNIX",
                    "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2},
                    "Placement": {"AvailabilityZone": "eu-west-1a", "Tenancy": "default"},
                    "LaunchTime": "2026-01-01T00:00:00+00:00",
                    "BlockDeviceMappings": [
                        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1", "Status": "attached"}}
                    ],
                    "Tags": [{"Key": "Name", "Value": "web-1"}, {"Key": "team", "Value": "shop"}],
                    "UserData": CANARY,
                },
                {"InstanceId": "i-0dead", "State": {"Name": "terminated"}},
            ],
        }
    ]
}
AWS_VOLUMES: dict[str, Any] = {
    "Volumes": [
        {
            "VolumeId": "vol-1",
            "Size": 20,
            "VolumeType": "gp3",
            "State": "in-use",
            "Encrypted": True,
            "Iops": 3000,
            "AvailabilityZone": "eu-west-1a",
            "Attachments": [{"InstanceId": "i-0a1", "VolumeId": "vol-1", "Device": "/dev/xvda", "State": "attached"}],
        }
    ]
}
AWS_SUBNETS = {
    "Subnets": [
        {"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-west-1a"}
    ]
}
AWS_VPCS = {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "State": "available"}]}
LB_ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/front/50dc"
AWS_LBS = {
    "LoadBalancers": [
        {
            "LoadBalancerArn": LB_ARN,
            "DNSName": "front-1.eu-west-1.elb.amazonaws.com",
            "LoadBalancerName": "front",
            "Scheme": "internet-facing",
            "Type": "application",
            "State": {"Code": "active"},
            "VpcId": "vpc-1",
            "AvailabilityZones": [{"ZoneName": "eu-west-1a", "SubnetId": "subnet-1"}],
        }
    ]
}
AWS_CLASSIC = {
    "LoadBalancerDescriptions": [
        {"LoadBalancerName": "old", "DNSName": "old-1.eu-west-1.elb.amazonaws.com", "Scheme": "internal",
         "Instances": [{"InstanceId": "i-0a1"}], "Subnets": ["subnet-1"], "AvailabilityZones": ["eu-west-1a"]}
    ]
}  # fmt: skip
DB_ARN = "arn:aws:rds:eu-west-1:123456789012:db"
AWS_DATABASES: dict[str, Any] = {
    "DBInstances": [
        {
            "DBInstanceIdentifier": "orders",
            "DBInstanceArn": f"{DB_ARN}:orders",
            "DBInstanceClass": "db.m6g.large",
            "Engine": "postgres",
            "EngineVersion": "16.3",
            "DBInstanceStatus": "available",
            "MasterUsername": CANARY,
            "Endpoint": {"Address": "orders.x.eu-west-1.rds.amazonaws.com", "Port": 5432},
            "AllocatedStorage": 100,
            "AvailabilityZone": "eu-west-1a",
            "MultiAZ": False,
            "DBSubnetGroup": {"VpcId": "vpc-1"},
            "TagList": [{"Key": "team", "Value": "shop"}],
        },
        {
            "DBInstanceIdentifier": "orders-copy",
            "DBInstanceArn": f"{DB_ARN}:orders-copy",
            "Engine": "postgres",
            "ReadReplicaSourceDBInstanceIdentifier": "orders",
        },
    ]
}
AWS_CONFIG: dict[str, Any] = {
    "fileVersion": "1.0",
    "configSnapshotId": "x",
    "configurationItems": [
        {
            "resourceType": "AWS::EC2::Volume",
            "resourceId": "vol-1",
            "ARN": "arn:aws:ec2:eu-west-1:123456789012:volume/vol-1",
            "awsAccountId": "123456789012",
            "awsRegion": "eu-west-1",
            "availabilityZone": "eu-west-1a",
            "configurationItemStatus": "OK",
            "tags": {"Name": "data"},
            "relationships": [
                {"resourceId": "i-0a1", "resourceType": "AWS::EC2::Instance", "name": "Attached to Instance"}
            ],
            "configuration": {"volumeId": "vol-1", "size": 20, "volumeType": "gp3", "secret": CANARY},
        },
        {
            "resourceType": "AWS::EC2::Instance",
            "resourceId": "i-0a1",
            "ARN": "arn:aws:ec2:eu-west-1:123456789012:instance/i-0a1",
            "awsRegion": "eu-west-1",
            "configurationItemStatus": "ResourceDiscovered",
            "tags": {"Name": "web-1"},
            "relationships": [
                {"resourceId": "subnet-1", "resourceType": "AWS::EC2::Subnet", "name": "Is contained in Subnet"}
            ],
            "configuration": '{"instanceType": "m5.large", "imageId": "ami-1"}',
        },
        {"resourceType": "AWS::EC2::Instance", "resourceId": "i-0dead", "configurationItemStatus": "ResourceDeleted"},
        {"resourceType": "AWS::IAM::User", "resourceId": CANARY, "configurationItemStatus": "OK"},
    ],
}
SUBSCRIPTION = "/subscriptions/5f1c/resourceGroups/Shop/providers"
AZURE_VMS: list[dict[str, Any]] = [
    {
        "id": f"{SUBSCRIPTION}/Microsoft.Compute/virtualMachines/web-1",
        "name": "web-1",
        "type": "Microsoft.Compute/virtualMachines",
        "location": "westeurope",
        "resourceGroup": "SHOP",
        "vmId": "3b0c",
        "powerState": "VM running",
        "privateIps": "10.1.0.5, 10.1.0.4",
        "publicIps": "",
        "fqdns": "",
        "hardwareProfile": {"vmSize": "Standard_B2s"},
        "osProfile": {"adminUsername": CANARY, "adminPassword": CANARY, "customData": CANARY},
        "storageProfile": {
            "imageReference": {"publisher": "Debian", "offer": "debian-12", "sku": "12"},
            "osDisk": {"osType": "Linux", "managedDisk": {"id": f"{SUBSCRIPTION}/Microsoft.Compute/disks/os-1"}},
            "dataDisks": [],
        },
        "networkProfile": {"networkInterfaces": [{"id": f"{SUBSCRIPTION}/Microsoft.Network/networkInterfaces/nic-1"}]},
        "tags": {"team": "shop"},
    }
]
AZURE_RESOURCES: list[dict[str, Any]] = [
    {
        "id": f"{SUBSCRIPTION.replace('Shop', 'SHOP')}/Microsoft.Compute/disks/os-1",
        "name": "os-1",
        "type": "Microsoft.Compute/disks",
        "location": "westeurope",
        "resourceGroup": "Shop",
        "sku": {"name": "Premium_LRS", "tier": "Premium"},
        "managedBy": f"{SUBSCRIPTION}/Microsoft.Compute/virtualMachines/web-1",
        "tags": None,
    },
    {
        "id": f"{SUBSCRIPTION}/Microsoft.Network/networkInterfaces/nic-1",
        "name": "nic-1",
        "type": "Microsoft.Network/networkInterfaces",
        "location": "westeurope",
        "sku": None,
    },
    {"id": f"{SUBSCRIPTION}/Microsoft.Insights/actionGroups/x", "name": "x", "type": "Microsoft.Insights/actionGroups"},
]
GCP = "https://www.googleapis.com/compute/v1/projects/shop"
GCP_INSTANCES: list[dict[str, Any]] = [
    {
        "kind": "compute#instance",
        "id": "4711",
        "name": "web-1",
        "selfLink": f"{GCP}/zones/europe-west1-b/instances/web-1",
        "zone": f"{GCP}/zones/europe-west1-b",
        "machineType": f"{GCP}/zones/europe-west1-b/machineTypes/e2-medium",
        "status": "RUNNING",
        "labels": {"team": "shop"},
        "metadata": {"items": [{"key": "ssh-keys", "value": CANARY}]},
        "networkInterfaces": [
            {
                "network": f"{GCP}/global/networks/default",
                "subnetwork": f"{GCP}/regions/europe-west1/subnetworks/default",
                "networkIP": "10.132.0.2",
                "accessConfigs": [{"natIP": "198.51.100.7", "type": "ONE_TO_ONE_NAT"}],
            }
        ],
        "disks": [{"boot": True, "source": f"{GCP}/zones/europe-west1-b/disks/web-1"}],
    }
]
GCP_ASSETS: list[dict[str, Any]] = [
    {
        "name": "//compute.googleapis.com/projects/shop/zones/europe-west1-b/disks/web-1",
        "assetType": "compute.googleapis.com/Disk",
        "ancestors": ["projects/1"],
        "resource": {
            "version": "v1",
            "data": {"name": "web-1", "sizeGb": "10", "type": f"{GCP}/zones/x/diskTypes/pd-ssd"},
        },
    },
    {
        "name": "//storage.googleapis.com/shop-backups",
        "assetType": "storage.googleapis.com/Bucket",
        "project": "projects/1",
        "displayName": "shop-backups",
        "location": "europe-west1",
        "labels": {"team": "shop"},
    },
    {"name": "//iam.googleapis.com/projects/shop/serviceAccounts/1", "assetType": "iam.googleapis.com/ServiceAccount"},
]
ALIBABA_INSTANCES: dict[str, Any] = {
    "Instances": {
        "Instance": [
            {
                "InstanceId": "i-bp1",
                "InstanceName": "web-1",
                "HostName": "iZbp1",
                "RegionId": "cn-hangzhou",
                "ZoneId": "cn-hangzhou-g",
                "Status": "Running",
                "Cpu": 4,
                "Memory": 8192,
                "InstanceType": "ecs.g6.xlarge",
                "OSName": "Alibaba Cloud Linux 3",
                "ImageId": "m-1",
                "SerialNumber": "51d1353b-22bf-4567-a176-8b3e12e43135",
                "InstanceChargeType": "PrePaid",
                "ExpiredTime": "2027-12-10T04:04Z",
                "VpcAttributes": {
                    "VpcId": "vpc-bp1",
                    "VSwitchId": "vsw-bp1",
                    "PrivateIpAddress": {"IpAddress": ["172.16.0.1"]},
                },
                "PublicIpAddress": {"IpAddress": []},
                "EipAddress": {"IpAddress": "203.0.113.9", "AllocationId": "eip-1"},
                "Tags": {"Tag": [{"TagKey": "team", "TagValue": "shop"}]},
            }
        ]
    },
    "TotalCount": 1,
    "PageNumber": 1,
    "PageSize": 10,
    "RequestId": "473469C7",
}
ALIBABA_DATABASES: dict[str, Any] = {
    "Items": {
        "DBInstance": [
            {"DBInstanceId": "rm-1", "DBInstanceDescription": "orders", "Engine": "MySQL", "EngineVersion": "8.0",
             "RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-g", "DBInstanceStatus": "Running", "VSwitchId": "vsw-bp1",
             "DBInstanceClass": "rds.mysql.s2.large", "PayType": "Postpaid"},
            {"DBInstanceId": "rr-1", "DBInstanceDescription": "orders-copy", "Engine": "MySQL", "MasterInstanceId": "rm-1"},
        ]
    },
    "TotalRecordCount": 2,
    "PageRecordCount": 2,
}  # fmt: skip
TENCENT_INSTANCES: dict[str, Any] = {
    "TotalCount": 1,
    "InstanceSet": [
        {
            "InstanceId": "ins-1",
            "InstanceName": "web-1",
            "Placement": {"Zone": "ap-guangzhou-3", "ProjectId": 0},
            "InstanceType": "S5.MEDIUM4",
            "CPU": 2,
            "Memory": 4,
            "InstanceState": "RUNNING",
            "InstanceChargeType": "POSTPAID_BY_HOUR",
            "OsName": "TencentOS Server 3.2",
            "ImageId": "img-1",
            "Uuid": "7b639f2c-c8b4-4ab1-8d96-3b2b1c8bf5a2",
            "PrivateIpAddresses": ["10.0.0.9"],
            "PublicIpAddresses": None,
            "VirtualPrivateCloud": {"VpcId": "vpc-x", "SubnetId": "subnet-x"},
            "SystemDisk": {"DiskType": "CLOUD_PREMIUM", "DiskId": "disk-1", "DiskSize": 50},
            "DataDisks": [{"DiskType": "LOCAL_BASIC", "DiskId": "ldisk-1", "DiskSize": 10}],
            "LoginSettings": {"Password": CANARY},
            "Tags": [{"Key": "team", "Value": "shop"}],
        }
    ],
    "RequestId": "r",
}
HUAWEI_SERVERS: dict[str, Any] = {
    "count": 1,
    "servers": [
        {
            "id": "4f4b3dfa-eb70-47cf-a60a-998a53bd598a",
            "name": "ecs-2ecf",
            "status": "ACTIVE",
            "flavor": {"disk": "0", "vcpus": "2", "ram": "1024", "id": "s3.large.1", "name": "s3.large.1"},
            "image": {"id": "1ce5800a"},
            "metadata": {"vpc_id": "0431c5e5", "image_name": "Oracle Linux 7.4", "agency": CANARY},
            "addresses": {
                "0431c5e5": [
                    {
                        "version": "4",
                        "addr": "192.168.1.99",
                        "OS-EXT-IPS:type": "fixed",
                        "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:df:18:6d",
                    },
                    {"version": "4", "addr": "203.0.113.3", "OS-EXT-IPS:type": "floating"},
                ]
            },
            "OS-EXT-AZ:availability_zone": "cn-north-4a",
            "os-extended-volumes:volumes_attached": [{"id": "b104", "device": "/dev/sda", "bootIndex": "0"}],
            "OS-EXT-SRV-ATTR:user_data": CANARY,
            "tags": ["team=shop", "alone"],
        }
    ],
}
ALIBABA_DISKS: dict[str, Any] = {
    "Disks": {
        "Disk": [
            {"DiskId": "d-bp1", "DiskName": "data", "Size": 40, "Category": "cloud_essd", "Type": "data", "Status": "In_use",
             "InstanceId": "i-bp1", "RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-g", "Encrypted": True,
             "Attachments": {"Attachment": [{"InstanceId": "i-bp1", "Device": "/dev/xvdb"}]},
             "Tags": {"Tag": [{"TagKey": "team", "TagValue": "shop"}]}},
        ]
    },
    "TotalCount": 1, "PageNumber": 1, "PageSize": 10, "NextToken": "",
}  # fmt: skip
ALIBABA_VPCS: dict[str, Any] = {
    "Vpcs": {
        "Vpc": [
            {"VpcId": "vpc-bp1", "VpcName": "prod", "CidrBlock": "172.16.0.0/12", "Status": "Available", "RegionId": "cn-hangzhou",
             "Description": "", "SecondaryCidrBlocks": {"SecondaryCidrBlock": ["10.8.0.0/16"]}, "VSwitchIds": {"VSwitchId": ["vsw-bp1"]}},
        ]
    },
    "TotalCount": 1, "PageNumber": 1, "PageSize": 10,
}  # fmt: skip
ALIBABA_VSWITCHES: dict[str, Any] = {
    "VSwitches": {
        "VSwitch": [
            {"VSwitchId": "vsw-bp1", "VSwitchName": "apps", "VpcId": "vpc-bp1", "CidrBlock": "172.16.0.0/24", "Ipv6CidrBlock": "",
             "ZoneId": "cn-hangzhou-g", "Status": "Available", "AvailableIpAddressCount": 250,
             "Tags": {"Tag": [{"Key": "team", "Value": "shop"}]}},
        ]
    },
    "TotalCount": 1, "PageNumber": 1, "PageSize": 10,
}  # fmt: skip
ALIBABA_LBS: dict[str, Any] = {
    "LoadBalancers": {
        "LoadBalancer": [
            {"LoadBalancerId": "lb-bp1", "LoadBalancerName": "front", "LoadBalancerStatus": "active", "Address": "172.16.0.9",
             "AddressType": "intranet", "AddressIPVersion": "ipv4", "RegionId": "cn-hangzhou", "MasterZoneId": "cn-hangzhou-g",
             "VpcId": "vpc-bp1", "VSwitchId": "vsw-bp1", "NetworkType": "vpc", "PayType": "PayOnDemand", "LoadBalancerSpec": "slb.s2.small"},
        ]
    },
    "TotalCount": 1, "PageNumber": 1, "PageSize": 10,
}  # fmt: skip
ALIBABA_CACHES: dict[str, Any] = {
    "Instances": {
        "KVStoreInstance": [
            {"InstanceId": "r-bp1", "InstanceName": "sessions", "InstanceType": "Redis", "EngineVersion": "7.0", "Capacity": 1024,
             "ConnectionDomain": "r-bp1.redis.rds.aliyuncs.com", "Port": 6379, "PrivateIp": "172.16.0.20", "UserName": CANARY,
             "InstanceClass": "redis.shard.small.2.ce", "InstanceStatus": "Normal", "RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-g",
             "VpcId": "vpc-bp1", "VSwitchId": "vsw-bp1", "ChargeType": "PostPaid", "EndTime": "", "Tags": {"Tag": [{"Key": "team", "Value": "shop"}]}},
        ]
    },
    "TotalCount": 1, "PageNumber": 1, "PageSize": 30,
}  # fmt: skip
TENCENT_DISKS: dict[str, Any] = {
    "TotalCount": 1,
    "DiskSet": [
        {"DiskId": "disk-1", "DiskName": "root", "DiskSize": 50, "DiskType": "CLOUD_PREMIUM", "DiskUsage": "SYSTEM_DISK",
         "DiskState": "ATTACHED", "Attached": True, "Encrypt": False, "InstanceId": "ins-1", "DiskChargeType": "POSTPAID_BY_HOUR",
         "Placement": {"ProjectId": 0, "Zone": "ap-guangzhou-3"}, "Tags": []},
    ],
}  # fmt: skip
TENCENT_VPCS: dict[str, Any] = {
    "TotalCount": 1,
    "VpcSet": [
        {"VpcId": "vpc-x", "VpcName": "prod", "CidrBlock": "10.0.0.0/16", "Ipv6CidrBlock": "", "IsDefault": False, "TagSet": [],
         "AssistantCidrSet": [{"CidrBlock": "192.168.1.0/24", "AssistantType": 0, "SubnetSet": [], "VpcId": "vpc-x"}]},
    ],
}  # fmt: skip
TENCENT_SUBNETS: dict[str, Any] = {
    "TotalCount": 1,
    "SubnetSet": [
        {"SubnetId": "subnet-x", "SubnetName": "apps", "VpcId": "vpc-x", "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlock": "2001:db8:1::/64",
         "Zone": "ap-guangzhou-3", "AvailableIpAddressCount": 250, "TagSet": [{"Key": "team", "Value": "shop"}]},
    ],
}  # fmt: skip
TENCENT_LBS: dict[str, Any] = {
    "TotalCount": 1,
    "LoadBalancerSet": [
        {"LoadBalancerId": "lb-x", "LoadBalancerName": "front", "LoadBalancerVips": ["10.0.0.30"], "LoadBalancerType": "INTERNAL",
         "Domain": "", "LoadBalancerDomain": "", "Status": 1, "VpcId": "vpc-x", "SubnetId": "subnet-x", "ChargeType": "POSTPAID_BY_HOUR",
         "TargetRegionInfo": {"Region": "ap-guangzhou", "VpcId": "vpc-x"}, "MasterZone": {"ZoneId": 100003, "Zone": "ap-guangzhou-3"},
         "Tags": [{"TagKey": "team", "TagValue": "shop"}]},
    ],
}  # fmt: skip
TENCENT_DATABASES: dict[str, Any] = {
    "TotalCount": 2,
    "Items": [
        {"InstanceId": "cdb-1", "InstanceName": "orders", "EngineVersion": "8.0", "Vip": "10.0.0.40", "Vport": 3306, "Cpu": 2,
         "Memory": 4000, "Volume": 50, "Region": "ap-guangzhou", "Zone": "ap-guangzhou-3", "InstanceType": 1, "MasterInfo": None,
         "VpcId": 511512, "UniqVpcId": "vpc-x", "UniqSubnetId": "subnet-x", "TagList": [{"TagKey": "team", "TagValue": "shop"}]},
        {"InstanceId": "cdbro-1", "InstanceName": "orders-copy", "EngineVersion": "8.0", "InstanceType": 3,
         "MasterInfo": {"InstanceId": "cdb-1", "Region": "ap-guangzhou"}},
    ],
}  # fmt: skip
TENCENT_CACHES: dict[str, Any] = {
    "TotalCount": 1,
    "InstanceSet": [
        {"InstanceId": "crs-1", "InstanceName": "sessions", "Engine": "社区版Redis", "Type": 8, "WanIp": "10.0.0.50", "Port": 6379,
         "Size": 1024, "Status": 2, "VpcId": 47525, "UniqVpcId": "vpc-x", "UniqSubnetId": "subnet-x",
         "InstanceTags": [{"TagKey": "team", "TagValue": "shop"}]},
    ],
}  # fmt: skip
HUAWEI_VOLUMES: dict[str, Any] = {
    "count": 1,
    "volumes": [
        {"id": "b104", "name": "root", "size": 40, "status": "in-use", "volume_type": "SSD", "availability_zone": "cn-north-4a",
         "bootable": "true", "encrypted": False, "metadata": {"x": CANARY}, "tags": {"team": "shop"},
         "attachments": [{"server_id": "4f4b3dfa-eb70-47cf-a60a-998a53bd598a", "volume_id": "b104", "device": "/dev/sda"}]},
    ],
}  # fmt: skip
HUAWEI_VPCS: dict[str, Any] = {
    "vpcs": [
        {"id": "0431c5e5", "name": "prod", "description": "", "cidr": "192.168.0.0/16", "status": "OK", "routes": []}
    ],
}
HUAWEI_SUBNETS: dict[str, Any] = {
    "subnets": [
        {"id": "b5c1", "name": "apps", "description": "", "cidr": "192.168.1.0/24", "gateway_ip": "192.168.1.1", "dhcp_enable": True,
         "availability_zone": "cn-north-4a", "vpc_id": "0431c5e5", "status": "ACTIVE", "neutron_network_id": "b5c1"},
    ],
}  # fmt: skip
HUAWEI_LBS: dict[str, Any] = {
    "loadbalancers": [
        {"id": "1b2d", "name": "front", "description": "", "vip_address": "192.168.1.30", "operating_status": "ONLINE",
         "provisioning_status": "ACTIVE", "vpc_id": "0431c5e5", "availability_zone_list": ["cn-north-4a"],
         "publicips": [{"publicip_id": "p", "publicip_address": "203.0.113.30", "ip_version": 4}],
         "eips": [{"eip_id": "p", "eip_address": "203.0.113.30", "ip_version": 4}], "tags": [{"key": "team", "value": "shop"}]},
    ],
    "page_info": {"current_count": 1},
}  # fmt: skip
HUAWEI_DATABASES: dict[str, Any] = {
    "total_count": 2,
    "instances": [
        {"id": "dc1in01", "name": "orders", "status": "ACTIVE", "type": "Ha", "port": 3306, "region": "cn-north-4",
         "datastore": {"type": "MySQL", "version": "8.0"}, "private_ips": ["192.168.1.40"], "public_ips": [], "db_user_name": CANARY,
         "vpc_id": "0431c5e5", "subnet_id": "b5c1", "flavor_ref": "rds.mysql.s1.large.ha", "cpu": "2", "mem": "4",
         "volume": {"type": "ULTRAHIGH", "size": 100}, "charge_info": {"charge_mode": "postPaid"},
         "related_instance": [{"id": "dc2in01", "type": "replica"}], "tags": [{"key": "team", "value": "shop"}]},
        {"id": "dc2in01", "name": "orders-copy", "type": "Replica", "datastore": {"type": "MySQL", "version": "8.0"},
         "related_instance": [{"id": "dc1in01", "type": "replica_of"}]},
    ],
}  # fmt: skip
HUAWEI_CACHES: dict[str, Any] = {
    "instance_num": 1,
    "instances": [
        {"instance_id": "e1f2", "name": "sessions", "engine": "Redis", "engine_version": "6.0", "capacity": 1, "max_memory": 1024,
         "used_memory": 12, "ip": "192.168.1.50", "port": 6379, "domain_name": "redis-e1f2.dcs.huaweicloud.com", "status": "RUNNING",
         "spec_code": "redis.ha.xu1.large.r2.1", "vpc_id": "0431c5e5", "subnet_id": "b5c1", "access_user": CANARY,
         "tags": [{"key": "team", "value": "shop"}]},
    ],
}  # fmt: skip
ALL: dict[str, Any] = {
    name: value for name, value in dict(globals()).items() if name.isupper() and isinstance(value, dict | list)
}
