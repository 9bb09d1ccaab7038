"""Declares exports of clouds as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="cloud",
    title="AWS, Azure, Google, Alibaba, Tencent, Huawei Cloud",
    ports=("tongchou.integrations.cloud.source:SOURCE",),
)
