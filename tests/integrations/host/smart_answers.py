"""Answers of `smartctl --json -a` in the forms that smartmontools 7.0 to 7.4 write, without what is not read."""

from __future__ import annotations

from typing import Any


def _table(*rows: tuple[int, str, int, int, int]) -> dict[str, Any]:
    """Attributes as (id, name, value, threshold, raw)."""
    table = [
        {
            "id": id_,
            "name": name,
            "value": value,
            "worst": value,
            "thresh": thresh,
            "when_failed": "now" if value <= thresh else "",
            "raw": {"value": raw, "string": str(raw)},
        }
        for id_, name, value, thresh, raw in rows
    ]
    return {"revision": 16, "table": table}


def head(name: str, type_: str, protocol: str, code: int) -> dict[str, Any]:
    return {
        "json_format_version": [1, 0],
        "smartctl": {"version": [7, 3], "argv": ["smartctl", "--json", "-a", name], "exit_status": code},
        "device": {"name": name, "info_name": f"{name} [SAT]", "type": type_, "protocol": protocol},
    }


ATA = {
    **head("/dev/sda", "sat", "ATA", 0),
    "model_family": "Western Digital Red",
    "model_name": "WDC WD40EFRX-68N32N0",
    "serial_number": "WD-WCC7K0AAAAAA",
    "wwn": {"naa": 5, "oui": 5358, "id": 10000000001},
    "firmware_version": "82.00A82",
    "user_capacity": {"blocks": 7814037168, "bytes": 4000787030016},
    "logical_block_size": 512,
    "rotation_rate": 5400,
    "smart_status": {"passed": True},
    "ata_smart_attributes": _table(
        (5, "Reallocated_Sector_Ct", 200, 140, 0),
        (9, "Power_On_Hours", 61, 0, 28643),
        (194, "Temperature_Celsius", 117, 0, 33),
        (197, "Current_Pending_Sector", 200, 0, 0),
        (198, "Offline_Uncorrectable", 100, 0, 0),
    ),
    "power_on_time": {"hours": 28643},
    "temperature": {"current": 33},
}
# bits 3 (failing), 4 (prefail now) and 6 (errors were logged), 7 (a self-test failed)
ATA_FAILING = {
    **ATA,
    **head("/dev/sdb", "sat", "ATA", 216),
    "serial_number": "WD-WCC7K0BBBBBB",
    "smart_status": {"passed": False},
    "ata_smart_attributes": _table(
        (5, "Reallocated_Sector_Ct", 1, 140, 1975),
        (197, "Current_Pending_Sector", 100, 0, 8),
        (198, "Offline_Uncorrectable", 100, 0, 3),
    ),
}
ATA_SSD = {
    **ATA,
    "model_name": "Samsung SSD 860 EVO 500GB",
    "rotation_rate": 0,
    "ata_smart_attributes": _table(
        (5, "Reallocated_Sector_Ct", 100, 10, 0),
        (177, "Wear_Leveling_Count", 88, 0, 210),
        (187, "Uncorrectable_Error_Cnt", 100, 0, 0),
        (241, "Total_LBAs_Written", 99, 0, 73251113984),
    ),
}
NVME = {
    **head("/dev/nvme0", "nvme", "NVMe", 0),
    "model_name": "SAMSUNG MZVL21T0HCLR-00B00",
    "serial_number": "S676NF0R000000",
    "firmware_version": "GXA7401Q",
    "nvme_total_capacity": 1024209543168,
    "user_capacity": {"blocks": 2000409264, "bytes": 1024209543168},
    "logical_block_size": 512,
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {
        "critical_warning": 0,
        "temperature": 41,
        "available_spare": 100,
        "available_spare_threshold": 10,
        "percentage_used": 3,
        "data_units_written": 65602088,
        "power_on_hours": 12798,
        "media_errors": 0,
        "num_err_log_entries": 62,
    },
    "power_on_time": {"hours": 12798},
    "temperature": {"current": 41},
}
# critical_warning 4: "reliability degraded"
NVME_FAILING = {
    **NVME,
    **head("/dev/nvme1", "nvme", "NVMe", 8),
    "smart_status": {"passed": False, "nvme": {"value": 4, "reliability_degraded": True}},
}
SAS = {
    **head("/dev/sdg", "scsi", "SCSI", 0),
    "scsi_vendor": "SEAGATE",
    "scsi_product": "ST4000NM0043",
    "model_name": "SEAGATE ST4000NM0043",
    "scsi_revision": "MS03",
    "user_capacity": {"blocks": 7814037168, "bytes": 4000787030016},
    "logical_block_size": 512,
    "rotation_rate": 7200,
    "serial_number": "Z1Z5DWJK0000R000AAAA",
    "smart_status": {"passed": True},
    "temperature": {"current": 34, "drive_trip": 68},
    "scsi_grown_defect_list": 56,
    "power_on_time": {"hours": 43549, "minutes": 33},
    "scsi_error_counter_log": {
        "read": {"total_errors_corrected": 300357663, "total_uncorrected_errors": 0},
        "write": {"total_errors_corrected": 0, "total_uncorrected_errors": 0},
    },
}
NOT_ALLOWED = {
    "smartctl": {
        "version": [7, 3],
        "messages": [{"string": "Smartctl open device: /dev/sda failed: Permission denied", "severity": "error"}],
        "exit_status": 2,
    },
}
ASLEEP = {
    **head("/dev/sdd", "sat", "ATA", 3),
    "smartctl": {
        "messages": [{"string": "Device is in STANDBY mode, exit(3)", "severity": "information"}],
        "exit_status": 3,
    },
}
SCAN = {
    "smartctl": {"version": [7, 3], "exit_status": 0},
    "devices": [
        {"name": "/dev/sda", "info_name": "/dev/sda", "type": "scsi", "protocol": "SCSI"},
        {"name": "/dev/sdb", "info_name": "/dev/sdb", "type": "scsi", "protocol": "SCSI"},
        {"name": "/dev/nvme0", "info_name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
    ],
}
