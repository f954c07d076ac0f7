/* What years came to, in words. */
#include "reports/outlook.h"

#include <inttypes.h>
#include <math.h>

#include "reports/forecast.h"
#include "reports/sentence.h"

#define HOUR_NS 3.6e12

void outlook_percent(double unavailability, struct buf *out)
{
    if (unavailability <= 0) {
        buf_adds(out, "100 %");
        return;
    }
    int places = 1 + (int)ceil(-log10(100 * unavailability));
    places = places < 1 ? 1 : places > 12 ? 12 : places;
    buf_printf(out, "%.*f %%", places, 100 * (1 - unavailability));
}

void outlook_hours(double hours, struct buf *out)
{
    sentence_time((nsec)(hours * HOUR_NS + 0.5), out);
}

void outlook_quantile(const struct histogram *h, double p, struct buf *out)
{
    if (h->count == 0)
        buf_adds(out, "–");
    else
        sentence_time((nsec)histogram_quantile(h, p) * TALLY_UNIT, out);
}

/* "0.34", "12", "1,203": incidents a year. */
static void rate(double r, struct buf *out)
{
    if (r >= 100)
        forecast_count((uint64_t)(r + 0.5), out);
    else
        buf_printf(out, r >= 10 ? "%.0f" : "%.2g", r);
}

static void contract(const struct outlook_service *s, struct buf *out)
{
    AUTO_BUF sla = BUF_INIT;
    outlook_percent(1 - s->service->sla, &sla);
    buf_printf(out, " Its contract of %.6g %% leaves ", 100 * s->service->sla);
    outlook_hours(s->budget, out);
    buf_adds(out, " a year, of which ");
    outlook_hours(s->used, out);
    if (s->used <= s->budget)
        buf_printf(out, " (%.2g %%) are used in the mean; it is kept in ",
                   100 * s->used / s->budget);
    else
        buf_adds(out, " are used in the mean, more than there is; it is kept in ");
    forecast_percent(s->kept, out);
    buf_adds(out, " of years (");
    AUTO_BUF lo = BUF_INIT;
    AUTO_BUF hi = BUF_INIT;
    forecast_percent(s->kept_in.lo, &lo);
    forecast_percent(s->kept_in.hi, &hi);
    buf_printf(out, "%s to %s; asked for: %g %%): %s as a forecast.", buf_text(&lo), buf_text(&hi),
               100 * s->asked, sentence_verdict(s->verdict));
}

static void by_cycles(const struct outlook_service *s, struct buf *out)
{
    const struct outlook_rare *r = &s->rare;
    double half = 1.959964 * r->rate[1];
    buf_printf(out,
               " By importance sampling, %.3g incidents a year (%.3g to %.3g), the first after "
               "%.3g years in the mean, and %.3g of the time down (%.3g to %.3g); worth %.0f equal "
               "incidents.",
               r->rate[0], r->rate[0] - half, r->rate[0] + half, r->first_down[0],
               r->unavailability[0], r->unavailability[0] - 1.959964 * r->unavailability[1],
               r->unavailability[0] + 1.959964 * r->unavailability[1], r->effective);
}

void outlook_sentence(const struct outlook *o, const struct outlook_service *s, struct buf *out)
{
    const char *name = s->service->name;
    if (s->never) {
        buf_printf(out, "Nothing that takes %s down ever fails in this model.", name);
        return;
    }
    buf_printf(out, "%s is up ", name);
    outlook_percent(s->unavailability, out);
    buf_adds(out, " of the time");
    if (!isnan(s->unavailability_in.lo)) {
        buf_adds(out, " (");
        outlook_percent(s->unavailability_in.hi, out);
        buf_adds(out, " to ");
        outlook_percent(s->unavailability_in.lo, out);
        buf_adds(out, ")");
    }
    buf_adds(out, ", with ");
    rate(s->per_year, out);
    buf_adds(out, " incidents a year (");
    rate(s->per_year_in.lo, out);
    buf_adds(out, " to ");
    rate(s->per_year_in.hi, out);
    buf_adds(out, ")");
    const struct histogram *h = &s->tally->incident_lasted;
    if (h->count) {
        buf_adds(out, "; half of them last at most ");
        outlook_quantile(h, 0.5, out);
        buf_adds(out, ", 19 of 20 at most ");
        outlook_quantile(h, 0.95, out);
    }
    buf_addc(out, '.');
    if (s->service->sla > 0)
        contract(s, out);
    if (s->rare.asked && !s->rare.refused)
        by_cycles(s, out);
}

void outlook_sentences(const struct outlook *o, struct buf *out)
{
    if (o->status != STATUS_COMPLETED) {
        buf_printf(out, "The forecast %s%s%s after ",
                   o->status == STATUS_ABORTED ? "was stopped" : "failed",
                   o->status_reason ? ": " : "", o->status_reason ? o->status_reason : "");
        forecast_count(o->tally.missions, out);
        buf_adds(out, " of ");
        forecast_count(o->planned, out);
        buf_adds(out, " trials; what follows is of these. ");
    }
    size_t told = 0;
    for (int with = 1; with >= 0; with--)
        for (size_t i = 0; i < o->services_n && told < 20; i++)
            if ((o->services[i].service->sla > 0) == with) {
                buf_adds(out, told++ ? " " : "");
                outlook_sentence(o, &o->services[i], out);
            }
    if (o->priced) {
        buf_printf(out, " Being down costs %.4g a year in the mean, in one of 20 years more than ",
                   o->lost_per_year);
        buf_printf(out, "%.4g.", histogram_quantile(&o->tally.year_lost, 0.95) / 100);
    }
    for (const char **what = o->left_out; *what; what++)
        buf_printf(out, "%s%s%s", what == o->left_out ? " Years leave out of this model: " : "; ",
                   *what, what[1] ? "" : ".");
}
