# SPDX-License-Identifier: MIT
"""Python's own tests of everything that it has for networks.

SKIPPED is what Debian's cloud kernel skips in the same image, by test ("Class.test", or "Class.*" for all of a class): families
that it lacks, other systems, peers in the Internet, being root. It fails none. Whatever else does not pass is our failure, and so is a test that is
skipped here and not there."""

import fnmatch
import xml.etree.ElementTree

from concord.scenario import Failed, application

# {module: what Linux skips}
SKIPPED = {
    "test_select": [],
    "test_selectors": ["DevpollSelectorTestCase.*", "KqueueSelectorTestCase.*",
                       "SelectSelectorTestCase.test_modify_unregister"],
    "test_socket": [
        "BasicBluetoothTest.*", "BasicCANTest.*", "BasicQIPCRTRTest.*", "BasicRDSTest.*", "BasicVSOCKTest.*",
        "CANTest.*", "GeneralModuleTests.test3542SocketOptions",
        "GeneralModuleTests.testWindowsSpecificConstants",
        "GeneralModuleTests.test_getaddrinfo_ipv6_scopeid_numeric",
        "GeneralModuleTests.test_getnameinfo_ipv6_scopeid_numeric", "GeneralModuleTests.test_idna",
        "GeneralModuleTests.test_sio_loopback_fast_path", "GeneralModuleTests.test_sock_ioctl", "ISOTPTest.*",
        "J1939Test.*", "LinuxKernelCryptoAPI.*", "RDSTest.*", "RecvmsgIntoSCTPStreamTest.*",
        "RecvmsgSCTPStreamTest.*", "SendmsgSCTPStreamTest.*", "TIPCTest.*", "TIPCThreadableTest.*",
        "TestMSWindowsTCPFlags.*", "TestMacOSTCPFlags.*", "TestSocketSharing.*",
        "TestUnixDomain.testEmptyAddress", "ThreadedVSOCKSocketStreamTest.*"],
    "test_smtplib": [],
    "test_ftplib": ["TestTLS_FTPClass.test_check_hostname"],
    "test_httplib": ["HTTPSTest.test_networked*"],
    "test_httpservers": ["CGIHTTPServerTestCase.*"],
    "test_urllib": ["Pathname_Tests.test_ntpath", "Pathname_Tests.test_prefixes"],
    "test_urllib2_localnet": [],
    "test_xmlrpc": [],
    "test_ssl": [
        "BasicSocketTests.test_cert_time_to_seconds_locale", "BasicSocketTests.test_cert_time_to_seconds_timezone",
        "BasicSocketTests.test_enum_certificates", "BasicSocketTests.test_enum_crls",
        "ContextTests.test_load_default_certs_env_windows", "ContextTests.test_python_ciphers",
        "NetworkedTests.*", "ThreadedTests.test_min_max_version_mismatch",
        "ThreadedTests.test_min_max_version_sslv3", "ThreadedTests.test_min_max_version_tlsv1_[12]",
        "ThreadedTests.test_protocol_sslv[23]", "ThreadedTests.test_protocol_tlsv1",
        "ThreadedTests.test_protocol_tlsv1_1"],
}

REPORT = "/tmp/report.xml"


def two(configuration):
    return configuration.cpus == 2


def verdicts(report):
    """{"Class.test": "ok", or what is wrong} from a report of Python's regression tests."""
    found = {}
    for case in xml.etree.ElementTree.fromstring(report).iter("testcase"):
        name = ".".join(case.get("name").split(".")[-2:])
        trouble = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
        found[name] = "ok" if trouble is None else f"{trouble.tag}: {(trouble.text or '').strip()[-500:]}"
    return found


def module(name):
    def run(guest):
        ended = guest.run(["python3", "-m", "test", "--junit-xml", REPORT, name], directory="/tmp")
        try:
            found = verdicts(guest.expect(["cat", REPORT]).stdout)
        except (AssertionError, xml.etree.ElementTree.ParseError):
            raise Failed(f"status {ended.status} and no report\n{ended.stdout[-2000:].decode()}\n"
                         f"{ended.stderr[-2000:].decode()}") from None
        wrong = [f"{test}: {verdict}" for test, verdict in found.items() if verdict != "ok" and not (
            verdict.startswith("skipped") and any(fnmatch.fnmatchcase(test, pattern) for pattern in SKIPPED[name]))]
        if wrong or "ok" not in found.values():
            raise Failed("\n".join([f"{len(wrong)} of {len(found)} tests", *wrong]))
        guest.expect(["rm", REPORT])

    run.__name__ = name
    run.__module__ = __name__
    application(image="test", net=True, seconds=900, full=True, when=two)(run)


for name_of_module in SKIPPED:
    module(name_of_module)
