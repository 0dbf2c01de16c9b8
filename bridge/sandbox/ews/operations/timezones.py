"""GetServerTimeZones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml, zones

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context


def get_server_time_zones(context: Context, request: etree._Element) -> str:  # noqa: ARG001 - the operations' signature
    """Answer the zones asked for, or all of them; their rules only where full data is wanted. Unknown ids give none."""
    asked = request.find(xml.M + "Ids")
    wanted = zones.names() if asked is None else [zones.known(one.text or "") for one in asked.iter(xml.T + "Id")]
    full = request.get("ReturnFullTimeZoneData")
    show = zones.definition_xml if full is None or xml.truth(full) else zones.brief_xml
    listed = "".join(show(name) for name in dict.fromkeys(wanted) if name is not None)
    return (
        '<m:ResponseMessages><m:GetServerTimeZonesResponseMessage ResponseClass="Success"><m:ResponseCode>NoError'
        f"</m:ResponseCode><m:TimeZoneDefinitions>{listed}</m:TimeZoneDefinitions></m:GetServerTimeZonesResponseMessage>"
        "</m:ResponseMessages>"
    )
