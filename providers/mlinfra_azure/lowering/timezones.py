"""Windows's names of time zones, by which Azure Machine Learning's schedules know them. After Unicode CLDR's windowsZones:
https://github.com/unicode-org/cldr/blob/main/common/supplemental/windowsZones.xml"""

from __future__ import annotations

_ZONES = {
    "UTC": "UTC Etc/UTC Etc/GMT GMT Zulu Etc/UCT UCT Etc/Zulu",
    "GMT Standard Time": "Europe/London Europe/Dublin Europe/Lisbon",
    "Greenwich Standard Time": "Atlantic/Reykjavik Africa/Accra Africa/Dakar",
    "W. Europe Standard Time": "Europe/Berlin Europe/Amsterdam Europe/Vienna Europe/Zurich Europe/Rome Europe/Stockholm Europe/Oslo "
    "Europe/Luxembourg",
    "Romance Standard Time": "Europe/Paris Europe/Brussels Europe/Madrid Europe/Copenhagen",
    "Central Europe Standard Time": "Europe/Budapest Europe/Prague Europe/Belgrade Europe/Bratislava Europe/Ljubljana",
    "Central European Standard Time": "Europe/Warsaw Europe/Zagreb Europe/Sarajevo Europe/Skopje",
    "FLE Standard Time": "Europe/Helsinki Europe/Kyiv Europe/Kiev Europe/Riga Europe/Sofia Europe/Tallinn Europe/Vilnius",
    "GTB Standard Time": "Europe/Athens Europe/Bucharest",
    "Turkey Standard Time": "Europe/Istanbul Asia/Istanbul",
    "Israel Standard Time": "Asia/Jerusalem Asia/Tel_Aviv",
    "Egypt Standard Time": "Africa/Cairo",
    "South Africa Standard Time": "Africa/Johannesburg",
    "W. Central Africa Standard Time": "Africa/Lagos",
    "E. Africa Standard Time": "Africa/Nairobi",
    "Arab Standard Time": "Asia/Riyadh Asia/Kuwait",
    "Arabian Standard Time": "Asia/Dubai",
    "Russian Standard Time": "Europe/Moscow",
    "India Standard Time": "Asia/Kolkata Asia/Calcutta",
    "Pakistan Standard Time": "Asia/Karachi",
    "SE Asia Standard Time": "Asia/Bangkok Asia/Jakarta Asia/Ho_Chi_Minh",
    "China Standard Time": "Asia/Shanghai Asia/Hong_Kong Asia/Macau",
    "Taipei Standard Time": "Asia/Taipei",
    "Singapore Standard Time": "Asia/Singapore Asia/Kuala_Lumpur Asia/Manila",
    "Tokyo Standard Time": "Asia/Tokyo",
    "Korea Standard Time": "Asia/Seoul",
    "W. Australia Standard Time": "Australia/Perth",
    "AUS Eastern Standard Time": "Australia/Sydney Australia/Melbourne",
    "E. Australia Standard Time": "Australia/Brisbane",
    "New Zealand Standard Time": "Pacific/Auckland",
    "Hawaiian Standard Time": "Pacific/Honolulu",
    "Pacific Standard Time": "America/Los_Angeles America/Vancouver US/Pacific",
    "US Mountain Standard Time": "America/Phoenix",
    "Mountain Standard Time": "America/Denver US/Mountain",
    "Central Standard Time": "America/Chicago America/Winnipeg US/Central",
    "Central Standard Time (Mexico)": "America/Mexico_City",
    "Eastern Standard Time": "America/New_York America/Toronto America/Detroit US/Eastern",
    "SA Pacific Standard Time": "America/Bogota America/Lima",
    "Atlantic Standard Time": "America/Halifax",
    "Pacific SA Standard Time": "America/Santiago",
    "E. South America Standard Time": "America/Sao_Paulo",
    "Argentina Standard Time": "America/Buenos_Aires America/Argentina/Buenos_Aires",
}
WINDOWS = {zone: windows for windows, zones in _ZONES.items() for zone in zones.split()}
"""IANA's name → Windows's."""
