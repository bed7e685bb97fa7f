/* SPDX-License-Identifier: MIT */
/*
 * linux/tcp.h, options and struct tcp_info, beside our tcp.h: both name the flags of a header, that
 * one as they lie in a word of it.
 */
#pragma once

#include "inet/tcp/tcp.h"

#define TCP_FLAG_CWR	linux_tcp_flag_cwr
#define TCP_FLAG_ECE	linux_tcp_flag_ece
#define TCP_FLAG_URG	linux_tcp_flag_urg
#define TCP_FLAG_ACK	linux_tcp_flag_ack
#define TCP_FLAG_PSH	linux_tcp_flag_psh
#define TCP_FLAG_RST	linux_tcp_flag_rst
#define TCP_FLAG_SYN	linux_tcp_flag_syn
#define TCP_FLAG_FIN	linux_tcp_flag_fin
#include <linux/tcp.h>
#undef TCP_FLAG_CWR
#undef TCP_FLAG_ECE
#undef TCP_FLAG_URG
#undef TCP_FLAG_ACK
#undef TCP_FLAG_PSH
#undef TCP_FLAG_RST
#undef TCP_FLAG_SYN
#undef TCP_FLAG_FIN
