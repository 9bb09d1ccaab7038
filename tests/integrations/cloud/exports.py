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
ALL: dict[str, Any] = {
    name: value for name, value in dict(globals()).items() if name.isupper() and isinstance(value, dict | list)
}
