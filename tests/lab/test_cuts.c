/* Every shape of a partition on the real kernel: who reaches whom, and that a hundred hosts are cut
 * together; as root and without.
 */
#include "tests/support/cutkit.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "injectors/injector.h"
#include "injectors/params.h"
#include "tests/support/faultkit.h"

static void must_lose(struct kit *k, const struct step *s, const char *ways)
{
    struct fault f;
    fault_begin(k, s, &f);
    assert_string_equal(cutkit_lost_ways(k), ways);
    fault_holds(k, &f);
    fault_end(k, &f);
    assert_string_equal(cutkit_lost_ways(k), "");
    fault_nothing_left(k);
}

static void every_shape_loses_what_it_says(void **state)
{
    static struct kit k;
    cutkit_five_hosts(&k);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct step *s = fault_step(&k, "grudge", "partition");
        struct partition_params *p = s->params;
        struct partition_grudge a = {.host = (char[]){"a"}, .from = cutkit_names(&k, "b c")},
                                e = {.host = (char[]){"e"}, .from = cutkit_names(&k, "a")};
        p->kind = kind;
        fault_add(&k, &p->grudge, &a);
        fault_add(&k, &p->grudge, &e);
        must_lose(&k, s, "a>e b>a c>a");

        s = fault_step(&k, "bridge", "partition");
        p = s->params;
        struct partition_bridge bridge = {.through = fault_target(&k, "c"),
                                          .of = cutkit_names(&k, "a b c d e")};
        p->kind = kind;
        p->bridge = &bridge;
        must_lose(&k, s, "a>d a>e b>d b>e d>a d>b e>a e>b");
        p->direction = CUT_FORWARD;
        must_lose(&k, s, "a>d a>e b>d b>e");

        s = fault_step(&k, "ring", "partition");
        p = s->params;
        struct partition_hosts all = {.of = cutkit_names(&k, "a b c d e")};
        p->kind = kind;
        p->ring = &all;
        must_lose(&k, s, "a>c a>d b>d b>e c>a c>e d>a d>b e>b e>c");

        s = fault_step(&k, "halves", "partition");
        p = s->params;
        p->kind = kind;
        p->halves = &all;
        struct fault f;
        fault_begin(&k, s, &f);
        assert_non_null(strstr(f.result.chosen, "halves of a, b, c, d, e: drawn "));
        const char *lost = cutkit_lost_ways(&k);
        assert_int_equal(strlen(lost), 12 * 4 - 1); /* two against three, both ways */
        fault_end(&k, &f);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

/* --- A hundred hosts ----------------------------------------------------------------------------
 */

enum { MANY = 100, ROUNDS = 20000 };

/* A process of its own that sends on one way to each host, round about, and sees what arrives: the
 * order of its sends is the order in which they meet the rules. */
struct stream {
    atomic_bool stop;
    atomic_size_t rounds;    /* ended so far */
    nsec sent[ROUNDS][MANY]; /* before each send */
    uint32_t last[MANY];     /* the last round of each way that arrived */
};

struct datagram {
    uint32_t way, round;
};

static void open_ways(struct kit *k, int out[MANY], int in[MANY])
{
    for (int i = 0; i < MANY; i++) {
        char from[16], to[16], address[32];
        socklen_t n = sizeof(struct sockaddr_storage);
        snprintf(from, sizeof from, "h%d", (i + MANY / 2) % MANY);
        snprintf(to, sizeof to, "h%d", i);
        snprintf(address, sizeof address, "10.0.0.%d", i + 1);
        struct sockaddr_storage where = cutkit_at(address, 9000, &n);
        in[i] = cutkit_socket(k, to, AF_INET, SOCK_DGRAM);
        out[i] = cutkit_socket(k, from, AF_INET, SOCK_DGRAM);
        assert_int_equal(bind(in[i], (struct sockaddr *)&where, n), 0);
        assert_int_equal(connect(out[i], (struct sockaddr *)&where, n), 0);
    }
}

static void note_arrivals(struct stream *s, const int in[MANY], size_t way)
{
    struct datagram d;
    while (recv(in[way], &d, sizeof d, MSG_DONTWAIT) == (ssize_t)sizeof d)
        if (d.way == way && d.round > s->last[way])
            s->last[way] = d.round;
}

static _Noreturn void send_all_the_time(struct stream *s, const int out[MANY], const int in[MANY])
{
    uint32_t round = 0;
    for (; round < ROUNDS && !atomic_load(&s->stop); round++)
        for (uint32_t i = 0; i < MANY; i++) {
            struct datagram d = {i, round};
            s->sent[round][i] = nsec_now(CLOCK_MONOTONIC);
            /* a refusal of the one before is told here, and nothing sent */
            for (int t = 0; t < 3 && send(out[i], &d, sizeof d, MSG_NOSIGNAL) < 0; t++)
                ;
            note_arrivals(s, in, i);
            if (i + 1 == MANY)
                atomic_store(&s->rounds, round + 1);
        }
    usleep(20000);
    for (size_t i = 0; i < MANY; i++)
        note_arrivals(s, in, i);
    _exit(0);
}

/* Until it has gone round so many times more. */
static void await_rounds(struct stream *s, size_t more)
{
    size_t want = atomic_load(&s->rounds) + more;
    for (int i = 0; i < 20000 && atomic_load(&s->rounds) < want; i++)
        usleep(1000);
}

/* How much later the last packet got through anywhere than the first was lost anywhere; not above
 * zero: all ways were cut at one instant. */
static nsec skew_of(const struct stream *s)
{
    nsec last_through = 0, first_lost = INT64_MAX;
    for (size_t i = 0; i < MANY; i++) {
        assert_true(s->last[i] > 0);             /* it was open */
        assert_true(s->last[i] + 1 < s->rounds); /* and was cut */
        nsec through = s->sent[s->last[i]][i], lost = s->sent[s->last[i] + 1][i];
        last_through = through > last_through ? through : last_through;
        first_lost = lost < first_lost ? lost : first_lost;
    }
    return last_through - first_lost;
}

static void a_hundred_hosts_are_cut_together(void **state)
{
    static struct kit k;
    char half[2][512] = {"", ""}, address[64], name[16];
    int out[MANY], in[MANY];
    kit_open(&k);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "h%d", i);
        snprintf(address, sizeof address, "10.0.0.%d/24", i + 1);
        kit_host(&k, name, address)->files.n =
            0; /* a hundred programs fill a small machine's /tmp */
        size_t len = strlen(half[i < MANY / 2]);
        snprintf(half[i < MANY / 2] + len, sizeof half[0] - len, "%s ", name);
    }
    kit_up(&k, false);
    open_ways(&k, out, in);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct stream *s =
            mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(s, MAP_FAILED);
        struct step *step = fault_step(&k, "half", "partition");
        struct partition_params *p = step->params;
        struct fault f;
        p->kind = kind;
        fault_group(&k, &p->cut, half[0]);
        fault_group(&k, &p->cut, half[1]);
        pid_t pid = fork();
        if (pid == 0)
            send_all_the_time(s, out, in);
        await_rounds(s, 10);
        fault_begin(&k, step, &f);
        await_rounds(s, 10);
        atomic_store(&s->stop, true);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        nsec skew = skew_of(s), told = f.result.at.hi - f.result.at.lo;
        char text[2][NSEC_TEXT_MAX];
        print_message("%s: measured %s, told %s; %s\n", kind == CUT_DROP ? "drop" : "reject",
                      nsec_text(skew, text[0]), nsec_text(told, text[1]), f.proof.seen);
        assert_non_null(strstr(f.proof.seen, kind == CUT_DROP
                                                 ? "took effect as one, within "
                                                 : "took effect on 100 hosts within "));
        /* a packet that was under way when its rule came is no skew */
        assert_true(skew <= (kind == CUT_DROP ? 0 : told) + NSEC_MSEC);
        fault_end(&k, &f);
        munmap(s, sizeof *s);
    }
    for (int i = 0; i < MANY; i++) {
        close(out[i]);
        close(in[i]);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_shape_loses_what_it_says),
        cmocka_unit_test(a_hundred_hosts_are_cut_together),
    };
    /* more users make no difference to the network: the third time would show nothing new */
    const struct CMUnitTest one[] = {cmocka_unit_test(every_shape_loses_what_it_says)};
    if (kit_is_rootless() && kit_has_ids())
        return cmocka_run_group_tests(one, NULL, NULL);
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
