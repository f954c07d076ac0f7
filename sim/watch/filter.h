/* Names in filters of packets. libpcap asks the machine's name servers for them, where and when the
 * filter is compiled: in `check` that would leave the machine, in a lab host it would find nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The first word of a filter (pcap-filter(7)) that libpcap would look up as the name of a host or a
 * network: true, and it is copied to `ret`, cut at `size`. Names of ports and protocols come from
 * files and are no such words. */
bool filter_names_host(const char *filter, char *ret, size_t size);
