/* The parameters of each action, as decoded by its table. Owned by the scenario's arena. */
#pragma once

#include "sim/model/impaired.h"
#include "sim/model/model.h"

/* Which processes of which hosts; the first member of the parameters of kill, stop and restart, so
 * that its rows of their tables can be shared (targets.h). */
struct process_params {
    struct target *host;
    char *process, *unit; /* NULL: not given */
    int64_t pid;          /* as seen in the host; 0: not given */
    int64_t expect;       /* 0: any number but none */
};

struct kill_params {
    struct process_params whom;
    int signal;  /* index in kill_signal_words */
    nsec within; /* for signals other than KILL */
};

struct shutdown_params {
    struct target *host;
    int signal;   /* index in shutdown.c's words; -1: the host's own */
    nsec timeout; /* from it to SIGKILL; NSEC_UNSET: the host's own */
};

struct stop_params {
    struct process_params whom;
};

struct freeze_params {
    struct process_params whom;
};

struct restart_params {
    struct process_params whom;
    nsec grace; /* from TERM to KILL */
};

struct node_kill_params {
    struct target *host;
};

struct run_params {
    struct target *host;
    char *command, *role;
    nsec timeout;
};

struct link_flap {
    nsec down, up;
};

struct link_params {
    struct target *host;
    char *network; /* NULL: all of the host's ports */
    char *device;  /* of a host that others made; else NULL */
    bool down;
    struct link_flap *flap;
};

struct custom_params {
    struct target *host;
    char *command, *undo, *verify; /* undo, verify: NULL, not given */
    nsec timeout;
};

struct address_params {
    struct target *host;
    char *address, *network, *device; /* network, device: NULL, or one of them */
};

struct route_params {
    struct target *host;
    char *to, *via; /* via NULL: any */
};

struct pressure_cpu {
    int64_t workers; /* 0: one for each processor */
    double load;
};

struct pressure_memory { /* one of them */
    int64_t size;        /* 0: not given */
    double percent;      /* of what is available beyond the reserve; 0: not given */
};

struct pressure_disk { /* path, and one of them */
    char *path;
    double fill;   /* of the whole; 0: not given */
    int64_t leave; /* 0: not given */
};

struct pressure_files {
    int64_t leave;
    char *process; /* NULL: every process */
};

struct pressure_io {
    char *path;
    int64_t workers, size; /* size: bytes of each worker's file */
};

struct pressure_params { /* at least one of them */
    struct target *host;
    struct pressure_cpu *cpu;
    struct pressure_io *io;
    struct pressure_memory *memory;
    struct pressure_disk *disk;
    struct pressure_files *files;
};

enum sockets_opened { SOCKETS_EITHER, SOCKETS_BY_HOST, SOCKETS_BY_PEER };

struct sockets_params {
    struct target *host;
    struct strv peer; /* n 0: any */
    struct port_ranges port, own_port;
    int opened;
    nsec every; /* NSEC_UNSET: once */
};

enum network_direction { NETWORK_EGRESS, NETWORK_INGRESS, NETWORK_BOTH };
enum network_family { NETWORK_ANY_FAMILY, NETWORK_IPV4, NETWORK_IPV6 };
enum network_protocol {
    NETWORK_ANY_PROTOCOL,
    NETWORK_TCP,
    NETWORK_UDP,
    NETWORK_SCTP,
    NETWORK_ICMP,
};

struct network_params {
    struct target *host;
    char *network; /* NULL: all of the host's */
    char *device;  /* of a host that others made; else NULL */
    struct strv to;
    int direction, family, protocol;
    struct port_ranges port, peer_port, own_port;
    struct impaired impaired;
};

enum partition_direction { CUT_BOTH, CUT_FORWARD, CUT_BACKWARD };
enum partition_kind { CUT_DROP, CUT_REJECT };
enum partition_connections { CUT_KEEP, CUT_SEVER };
enum partition_packets { CUT_ALL_PACKETS, CUT_NEW_CONNECTIONS };

struct partition_grudge { /* what these send to the host is lost */
    char *host;
    struct strv from;
};

struct partition_bridge {
    struct target *through;
    struct strv of;
};

struct partition_hosts {
    struct strv of;
};

/* Exactly one of the first six is given. */
struct partition_params {
    char *host; /* one that others made, cut from `peers`: then nothing of the next six */
    struct strv peers;
    struct objects cut;     /* of struct objects of struct target */
    struct objects isolate; /* struct target */
    struct objects grudge;  /* struct partition_grudge */
    struct partition_bridge *bridge;
    struct partition_hosts *ring;
    struct partition_hosts *halves;
    int direction, kind, packets;
    int protocol; /* index in scope_protocol_words */
    struct port_ranges ports;
    int connections;
};

struct dns_lie {
    struct strv addresses;
    nsec ttl;
};

/* Exactly one of drop, delay, nxdomain, servfail and answer is given. */
struct dns_params {
    struct target *host;
    bool drop, nxdomain, servfail;
    nsec delay;
    struct dns_lie *answer;
    struct strv names; /* empty: all */
    double share;
};

/* Exactly one of delay, abort and status is given. */
struct http_params {
    struct target *host;
    int64_t port;
    nsec delay;
    bool abort;
    int64_t status; /* 0: not given */
    struct strv paths, methods;
    double share;
};

struct tls_issuer {
    char *certificate, *key; /* files */
};

struct tls_params {
    struct target *host;
    int64_t port;
    int certificate; /* enum proxy_flaw */
    struct tls_issuer *issuer;
};

struct clock_params {
    struct target *host;
    char *offset; /* "+2h", "-5m"; NULL: not given */
    char *rate;   /* "101%", "0.99"; NULL: not given */
    nsec uptime;  /* not above 0: not given */
};
