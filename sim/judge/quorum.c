/* A count. */
#include "sim/judge/quorum.h"

enum threshold_change quorum_feed(struct quorum *q, enum threshold_change of_one)
{
    bool was = q->beyond >= q->at_least;
    if (of_one == THRESHOLD_SAME)
        return THRESHOLD_SAME;
    q->beyond += of_one == THRESHOLD_ONSET ? 1 : -1;
    bool is = q->beyond >= q->at_least;
    return is == was ? THRESHOLD_SAME : of_one;
}
