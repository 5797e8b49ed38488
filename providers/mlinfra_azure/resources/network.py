"""``azure.virtual_network``, ``azure.subnet``, ``azure.network_security_group``, ``azure.public_ip``, ``azure.network_interface``.

https://learn.microsoft.com/rest/api/virtualnetwork: If-Match is enforced here.
"""

from __future__ import annotations

from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_NAME = (r"[a-zA-Z0-9]([-\w.]{0,78}\w)?", "1 to 80 letters, digits, . _ and -, a letter or digit first")
_MADE = "set when it is made ({})"


class VirtualNetwork(TableType):
    """A network. Subnets that are not listed under ``subnets`` are left alone: they may be resources of their own."""

    def __init__(self) -> None:
        super().__init__(
            Row(type="azure.virtual_network", arm="Microsoft.Network/virtualNetworks", home="group", etag=True, name_rule=_NAME)
        )


class Subnet(TableType):
    """A subnet as a resource of its own; ``parent`` is the network's id."""

    def __init__(self) -> None:
        super().__init__(
            Row(type="azure.subnet", arm="Microsoft.Network/virtualNetworks/subnets", marks="parent", etag=True, name_rule=_NAME)
        )


class NetworkSecurityGroup(TableType):
    """What may come in and go out."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.network_security_group", arm="Microsoft.Network/networkSecurityGroups", home="group", etag=True,
                unread=("flushConnection",), name_rule=_NAME,
            )
        )  # fmt: skip


class PublicIp(TableType):
    """An address that the world can reach."""

    def __init__(self) -> None:
        arm = "Microsoft.Network/publicIPAddresses"
        super().__init__(
            Row(
                type="azure.public_ip", arm=arm, home="group", etag=True, hidden=("ipAddress", "servicePublicIPAddress", "linkedPublicIPAddress"),
                fixed={n: _MADE.format(f"{arm}@2025-09-01")
                       for n in ("sku", "zones", "publicIPAddressVersion", "publicIPPrefix", "extendedLocation")},
                outputs={"ipAddress": "properties.ipAddress"}, volatile=("ipAddress",), name_rule=_NAME, costs=True,
            )
        )  # fmt: skip


class NetworkInterface(TableType):
    """What joins a machine to a subnet. ``privateIpAddress`` is that of its first configuration."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.network_interface", arm="Microsoft.Network/networkInterfaces", home="group", etag=True,
                outputs={"privateIpAddress": "properties.ipConfigurations.0.properties.privateIPAddress"}, name_rule=_NAME,
            )
        )  # fmt: skip
