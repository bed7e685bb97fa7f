/* SPDX-License-Identifier: MIT */
/*
 * /proc/net/snmp and netstat: counters of a namespace, by the names that Linux gives them.  Those
 * that nobody here counts are 0.
 */
#include "base/format.h"
#include "fs/pseudo/pseudo.h"
#include "inet/show.h"

struct row {
	uint16_t at;			/* index in inet_mib, in counters */
	const char *name;
};

#define AT(group, index)	(offsetof(struct inet_mib, group) / 8 + (index))
#define IP(index, text)		{ AT(ip, IPSTATS_MIB_##index), text },
#define ICMP(index, text)	{ AT(icmp, ICMP_MIB_##index), text },
#define TCP(index, text)	{ AT(tcp, TCP_MIB_##index), text },
#define UDP(group, index, text)	{ AT(group, UDP_MIB_##index), text },
#define EXT(index, text)	{ AT(ext, LINUX_MIB_##index), text },

static const struct row ip_rows[] = {
	IP(INPKTS, "InReceives") IP(INHDRERRORS, "InHdrErrors") IP(INADDRERRORS, "InAddrErrors")
	IP(OUTFORWDATAGRAMS, "ForwDatagrams") IP(INUNKNOWNPROTOS, "InUnknownProtos")
	IP(INDISCARDS, "InDiscards") IP(INDELIVERS, "InDelivers") IP(OUTPKTS, "OutRequests")
	IP(OUTDISCARDS, "OutDiscards") IP(OUTNOROUTES, "OutNoRoutes")
	IP(REASMTIMEOUT, "ReasmTimeout") IP(REASMREQDS, "ReasmReqds") IP(REASMOKS, "ReasmOKs")
	IP(REASMFAILS, "ReasmFails") IP(FRAGOKS, "FragOKs") IP(FRAGFAILS, "FragFails")
	IP(FRAGCREATES, "FragCreates")
};

static const struct row icmp_rows[] = {
	ICMP(INMSGS, "InMsgs") ICMP(INERRORS, "InErrors") ICMP(CSUMERRORS, "InCsumErrors")
	ICMP(INDESTUNREACHS, "InDestUnreachs") ICMP(INTIMEEXCDS, "InTimeExcds")
	ICMP(INPARMPROBS, "InParmProbs") ICMP(INSRCQUENCHS, "InSrcQuenchs")
	ICMP(INREDIRECTS, "InRedirects") ICMP(INECHOS, "InEchos") ICMP(INECHOREPS, "InEchoReps")
	ICMP(INTIMESTAMPS, "InTimestamps") ICMP(INTIMESTAMPREPS, "InTimestampReps")
	ICMP(INADDRMASKS, "InAddrMasks") ICMP(INADDRMASKREPS, "InAddrMaskReps")
	ICMP(OUTMSGS, "OutMsgs") ICMP(OUTERRORS, "OutErrors")
	ICMP(RATELIMITGLOBAL, "OutRateLimitGlobal") ICMP(RATELIMITHOST, "OutRateLimitHost")
	ICMP(OUTDESTUNREACHS, "OutDestUnreachs") ICMP(OUTTIMEEXCDS, "OutTimeExcds")
	ICMP(OUTPARMPROBS, "OutParmProbs") ICMP(OUTSRCQUENCHS, "OutSrcQuenchs")
	ICMP(OUTREDIRECTS, "OutRedirects") ICMP(OUTECHOS, "OutEchos")
	ICMP(OUTECHOREPS, "OutEchoReps") ICMP(OUTTIMESTAMPS, "OutTimestamps")
	ICMP(OUTTIMESTAMPREPS, "OutTimestampReps") ICMP(OUTADDRMASKS, "OutAddrMasks")
	ICMP(OUTADDRMASKREPS, "OutAddrMaskReps")
};

static const struct row tcp_rows[] = {
	TCP(ACTIVEOPENS, "ActiveOpens") TCP(PASSIVEOPENS, "PassiveOpens")
	TCP(ATTEMPTFAILS, "AttemptFails") TCP(ESTABRESETS, "EstabResets")
	TCP(CURRESTAB, "CurrEstab") TCP(INSEGS, "InSegs") TCP(OUTSEGS, "OutSegs")
	TCP(RETRANSSEGS, "RetransSegs") TCP(INERRS, "InErrs") TCP(OUTRSTS, "OutRsts")
	TCP(CSUMERRORS, "InCsumErrors")
};

#define UDP_ROWS(group) { \
	UDP(group, INDATAGRAMS, "InDatagrams") UDP(group, NOPORTS, "NoPorts") \
	UDP(group, INERRORS, "InErrors") UDP(group, OUTDATAGRAMS, "OutDatagrams") \
	UDP(group, RCVBUFERRORS, "RcvbufErrors") UDP(group, SNDBUFERRORS, "SndbufErrors") \
	UDP(group, CSUMERRORS, "InCsumErrors") UDP(group, IGNOREDMULTI, "IgnoredMulti") \
	UDP(group, MEMERRORS, "MemErrors") \
}

static const struct row udp_rows[] = UDP_ROWS(udp), udplite_rows[] = UDP_ROWS(udplite);

static const struct row ext_rows[] = {
	EXT(SYNCOOKIESSENT, "SyncookiesSent") EXT(SYNCOOKIESRECV, "SyncookiesRecv")
	EXT(SYNCOOKIESFAILED, "SyncookiesFailed") EXT(EMBRYONICRSTS, "EmbryonicRsts")
	EXT(PRUNECALLED, "PruneCalled") EXT(RCVPRUNED, "RcvPruned") EXT(OFOPRUNED, "OfoPruned")
	EXT(OUTOFWINDOWICMPS, "OutOfWindowIcmps") EXT(LOCKDROPPEDICMPS, "LockDroppedIcmps")
	EXT(ARPFILTER, "ArpFilter") EXT(TIMEWAITED, "TW") EXT(TIMEWAITRECYCLED, "TWRecycled")
	EXT(TIMEWAITKILLED, "TWKilled") EXT(PAWSACTIVEREJECTED, "PAWSActive")
	EXT(PAWSESTABREJECTED, "PAWSEstab") EXT(DELAYEDACKS, "DelayedACKs")
	EXT(DELAYEDACKLOCKED, "DelayedACKLocked") EXT(DELAYEDACKLOST, "DelayedACKLost")
	EXT(LISTENOVERFLOWS, "ListenOverflows") EXT(LISTENDROPS, "ListenDrops")
	EXT(TCPHPHITS, "TCPHPHits") EXT(TCPPUREACKS, "TCPPureAcks") EXT(TCPHPACKS, "TCPHPAcks")
	EXT(TCPRENORECOVERY, "TCPRenoRecovery") EXT(TCPSACKRECOVERY, "TCPSackRecovery")
	EXT(TCPSACKRENEGING, "TCPSACKReneging") EXT(TCPSACKREORDER, "TCPSACKReorder")
	EXT(TCPRENOREORDER, "TCPRenoReorder") EXT(TCPTSREORDER, "TCPTSReorder")
	EXT(TCPFULLUNDO, "TCPFullUndo") EXT(TCPPARTIALUNDO, "TCPPartialUndo")
	EXT(TCPDSACKUNDO, "TCPDSACKUndo") EXT(TCPLOSSUNDO, "TCPLossUndo")
	EXT(TCPLOSTRETRANSMIT, "TCPLostRetransmit") EXT(TCPRENOFAILURES, "TCPRenoFailures")
	EXT(TCPSACKFAILURES, "TCPSackFailures") EXT(TCPLOSSFAILURES, "TCPLossFailures")
	EXT(TCPFASTRETRANS, "TCPFastRetrans") EXT(TCPSLOWSTARTRETRANS, "TCPSlowStartRetrans")
	EXT(TCPTIMEOUTS, "TCPTimeouts") EXT(TCPLOSSPROBES, "TCPLossProbes")
	EXT(TCPLOSSPROBERECOVERY, "TCPLossProbeRecovery")
	EXT(TCPRENORECOVERYFAIL, "TCPRenoRecoveryFail")
	EXT(TCPSACKRECOVERYFAIL, "TCPSackRecoveryFail") EXT(TCPRCVCOLLAPSED, "TCPRcvCollapsed")
	EXT(TCPDSACKOLDSENT, "TCPDSACKOldSent") EXT(TCPDSACKOFOSENT, "TCPDSACKOfoSent")
	EXT(TCPDSACKRECV, "TCPDSACKRecv") EXT(TCPDSACKOFORECV, "TCPDSACKOfoRecv")
	EXT(TCPABORTONDATA, "TCPAbortOnData") EXT(TCPABORTONCLOSE, "TCPAbortOnClose")
	EXT(TCPABORTONMEMORY, "TCPAbortOnMemory") EXT(TCPABORTONTIMEOUT, "TCPAbortOnTimeout")
	EXT(TCPABORTONLINGER, "TCPAbortOnLinger") EXT(TCPABORTFAILED, "TCPAbortFailed")
	EXT(TCPMEMORYPRESSURES, "TCPMemoryPressures")
	EXT(TCPMEMORYPRESSURESCHRONO, "TCPMemoryPressuresChrono")
	EXT(TCPSACKDISCARD, "TCPSACKDiscard") EXT(TCPDSACKIGNOREDOLD, "TCPDSACKIgnoredOld")
	EXT(TCPDSACKIGNOREDNOUNDO, "TCPDSACKIgnoredNoUndo")
	EXT(TCPSPURIOUSRTOS, "TCPSpuriousRTOs") EXT(TCPMD5NOTFOUND, "TCPMD5NotFound")
	EXT(TCPMD5UNEXPECTED, "TCPMD5Unexpected") EXT(TCPMD5FAILURE, "TCPMD5Failure")
	EXT(SACKSHIFTED, "TCPSackShifted") EXT(SACKMERGED, "TCPSackMerged")
	EXT(SACKSHIFTFALLBACK, "TCPSackShiftFallback") EXT(TCPBACKLOGDROP, "TCPBacklogDrop")
	EXT(PFMEMALLOCDROP, "PFMemallocDrop") EXT(TCPMINTTLDROP, "TCPMinTTLDrop")
	EXT(TCPDEFERACCEPTDROP, "TCPDeferAcceptDrop")
	EXT(TCPTIMEWAITOVERFLOW, "TCPTimeWaitOverflow")
	EXT(TCPREQQFULLDOCOOKIES, "TCPReqQFullDoCookies")
	EXT(TCPREQQFULLDROP, "TCPReqQFullDrop") EXT(TCPRETRANSFAIL, "TCPRetransFail")
	EXT(TCPRCVCOALESCE, "TCPRcvCoalesce") EXT(TCPBACKLOGCOALESCE, "TCPBacklogCoalesce")
	EXT(TCPOFOQUEUE, "TCPOFOQueue") EXT(TCPOFODROP, "TCPOFODrop")
	EXT(TCPOFOMERGE, "TCPOFOMerge") EXT(TCPCHALLENGEACK, "TCPChallengeACK")
	EXT(TCPSYNCHALLENGE, "TCPSYNChallenge") EXT(TCPFASTOPENACTIVE, "TCPFastOpenActive")
	EXT(TCPFASTOPENACTIVEFAIL, "TCPFastOpenActiveFail")
	EXT(TCPFASTOPENPASSIVE, "TCPFastOpenPassive")
	EXT(TCPFASTOPENPASSIVEFAIL, "TCPFastOpenPassiveFail")
	EXT(TCPFASTOPENLISTENOVERFLOW, "TCPFastOpenListenOverflow")
	EXT(TCPFASTOPENCOOKIEREQD, "TCPFastOpenCookieReqd")
	EXT(TCPFASTOPENBLACKHOLE, "TCPFastOpenBlackhole")
	EXT(BUSYPOLLRXPACKETS, "BusyPollRxPackets") EXT(TCPAUTOCORKING, "TCPAutoCorking")
	EXT(TCPFROMZEROWINDOWADV, "TCPFromZeroWindowAdv")
	EXT(TCPTOZEROWINDOWADV, "TCPToZeroWindowAdv")
	EXT(TCPWANTZEROWINDOWADV, "TCPWantZeroWindowAdv") EXT(TCPSYNRETRANS, "TCPSynRetrans")
	EXT(TCPORIGDATASENT, "TCPOrigDataSent")
	EXT(TCPHYSTARTTRAINDETECT, "TCPHystartTrainDetect")
	EXT(TCPHYSTARTTRAINCWND, "TCPHystartTrainCwnd")
	EXT(TCPHYSTARTDELAYDETECT, "TCPHystartDelayDetect")
	EXT(TCPHYSTARTDELAYCWND, "TCPHystartDelayCwnd")
	EXT(TCPACKSKIPPEDSYNRECV, "TCPACKSkippedSynRecv")
	EXT(TCPACKSKIPPEDPAWS, "TCPACKSkippedPAWS") EXT(TCPACKSKIPPEDSEQ, "TCPACKSkippedSeq")
	EXT(TCPACKSKIPPEDFINWAIT2, "TCPACKSkippedFinWait2")
	EXT(TCPACKSKIPPEDTIMEWAIT, "TCPACKSkippedTimeWait")
	EXT(TCPACKSKIPPEDCHALLENGE, "TCPACKSkippedChallenge") EXT(TCPWINPROBE, "TCPWinProbe")
	EXT(TCPKEEPALIVE, "TCPKeepAlive") EXT(TCPMTUPFAIL, "TCPMTUPFail")
	EXT(TCPMTUPSUCCESS, "TCPMTUPSuccess") EXT(TCPDELIVERED, "TCPDelivered")
	EXT(TCPDELIVEREDCE, "TCPDeliveredCE") EXT(TCPACKCOMPRESSED, "TCPAckCompressed")
	EXT(TCPZEROWINDOWDROP, "TCPZeroWindowDrop") EXT(TCPRCVQDROP, "TCPRcvQDrop")
	EXT(TCPWQUEUETOOBIG, "TCPWqueueTooBig")
	EXT(TCPFASTOPENPASSIVEALTKEY, "TCPFastOpenPassiveAltKey")
	EXT(TCPTIMEOUTREHASH, "TcpTimeoutRehash")
	EXT(TCPDUPLICATEDATAREHASH, "TcpDuplicateDataRehash")
	EXT(TCPDSACKRECVSEGS, "TCPDSACKRecvSegs")
	EXT(TCPDSACKIGNOREDDUBIOUS, "TCPDSACKIgnoredDubious")
	EXT(TCPMIGRATEREQSUCCESS, "TCPMigrateReqSuccess")
	EXT(TCPMIGRATEREQFAILURE, "TCPMigrateReqFailure")
};

static const struct row ip_ext_rows[] = {
	IP(INNOROUTES, "InNoRoutes") IP(INTRUNCATEDPKTS, "InTruncatedPkts")
	IP(INMCASTPKTS, "InMcastPkts") IP(OUTMCASTPKTS, "OutMcastPkts")
	IP(INBCASTPKTS, "InBcastPkts") IP(OUTBCASTPKTS, "OutBcastPkts")
	IP(INOCTETS, "InOctets") IP(OUTOCTETS, "OutOctets") IP(INMCASTOCTETS, "InMcastOctets")
	IP(OUTMCASTOCTETS, "OutMcastOctets") IP(INBCASTOCTETS, "InBcastOctets")
	IP(OUTBCASTOCTETS, "OutBcastOctets") IP(CSUMERRORS, "InCsumErrors")
	IP(NOECTPKTS, "InNoECTPkts") IP(ECT1PKTS, "InECT1Pkts") IP(ECT0PKTS, "InECT0Pkts")
	IP(CEPKTS, "InCEPkts") IP(REASM_OVERLAPS, "ReasmOverlaps")
};

static uint64_t sum_of(struct inet *inet, unsigned int at)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < INET_MIB_GROUPS; i++)
		sum += atomic_load_explicit((_Atomic(uint64_t) *)&inet->mib[i] + at,
					    memory_order_relaxed);
	return sum;
}

/* Two lines: names and values.  @fixed: pairs that come first, or NULL. */
static void put_lines(struct inet *inet, struct pseudo_buf *b, const char *what,
		      const char *fixed_names, const char *fixed_values, const struct row *rows,
		      size_t n)
{
	pseudo_printf(b, "%s:%s", what, fixed_names);
	for (size_t i = 0; i < n; i++)
		pseudo_printf(b, " %s", rows[i].name);
	pseudo_printf(b, "\n%s:%s", what, fixed_values);
	for (size_t i = 0; i < n; i++)
		pseudo_printf(b, " %llu", (unsigned long long)sum_of(inet, rows[i].at));
	pseudo_puts(b, "\n");
}

/* By type, those that there were. */
static void put_icmp_types(struct inet *inet, struct pseudo_buf *b)
{
	const size_t in = AT(icmp_in, 0), out = AT(icmp_out, 0);
	const size_t n = ARRAY_SIZE(inet->mib[0].icmp_in);
	bool any = false;

	for (size_t i = 0; i < 2 * n; i++) {
		size_t at = i < n ? in + i : out + i - n;

		if (!sum_of(inet, (unsigned int)at))
			continue;
		pseudo_printf(b, "%s %sType%u", any ? "" : "IcmpMsg:", i < n ? "In" : "Out",
			      (unsigned int)(i % n));
		any = true;
	}
	if (!any)
		return;
	pseudo_puts(b, "\nIcmpMsg:");
	for (size_t i = 0; i < 2 * n; i++) {
		uint64_t sum = sum_of(inet, (unsigned int)(i < n ? in + i : out + i - n));

		if (sum)
			pseudo_printf(b, " %llu", (unsigned long long)sum);
	}
	pseudo_puts(b, "\n");
}

void inet_show_snmp(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct inet *inet = ns->inet;
	char ttl[24];

	snprintf(ttl, sizeof(ttl), " 2 %d", inet_conf(&inet->conf.ip_default_ttl));
	put_lines(inet, b, "Ip", " Forwarding DefaultTTL", ttl, ip_rows, ARRAY_SIZE(ip_rows));
	put_lines(inet, b, "Icmp", "", "", icmp_rows, ARRAY_SIZE(icmp_rows));
	put_icmp_types(inet, b);
	tcp_publish_counters(inet);
	put_lines(inet, b, "Tcp", " RtoAlgorithm RtoMin RtoMax MaxConn", " 1 200 120000 -1", tcp_rows,
		  ARRAY_SIZE(tcp_rows));
	put_lines(inet, b, "Udp", "", "", udp_rows, ARRAY_SIZE(udp_rows));
	put_lines(inet, b, "UdpLite", "", "", udplite_rows, ARRAY_SIZE(udplite_rows));
}

void inet_show_netstat(struct lx_netns *ns, struct pseudo_buf *b)
{
	tcp_publish_counters(ns->inet);
	put_lines(ns->inet, b, "TcpExt", "", "", ext_rows, ARRAY_SIZE(ext_rows));
	put_lines(ns->inet, b, "IpExt", "", "", ip_ext_rows, ARRAY_SIZE(ip_ext_rows));
}
