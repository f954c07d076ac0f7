/* Numbers with units, as people write them: durations, percentages, sizes, whole numbers.
 *
 * A unit is never guessed: "250" is not a duration. Every parser takes the whole text or refuses
 * it with a sentence; nothing is written on failure. Source of the words: the scenario language.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"

/* ns us ms s m h d, with a decimal fraction ("1.5s"), parts may follow each other ("1m30s"). Not
 * negative, below 10 years, and exact in nanoseconds. */
int units_duration(const char *text, nsec *ret, struct err *err);

/* "5%", "0.1%": ret is the fraction in [0, 1]. */
int units_percent(const char *text, double *ret, struct err *err);

/* "2.5", "12000": not negative. */
int units_decimal(const char *text, double *ret, struct err *err);

/* B kB MB GB (10^3), KiB MiB GiB (2^10), with an optional minus sign: ret in bytes. */
int units_size(const char *text, int64_t *ret, struct err *err);

/* bit kbit mbit gbit tbit (10^3) per second: ret in bits per second. */
int units_rate(const char *text, int64_t *ret, struct err *err);

/* "1500B", "10mbit": the shortest exact way to write such a number. Returns buf. */
#define UNITS_TEXT_MAX 32
const char *units_size_text(int64_t bytes, char buf[UNITS_TEXT_MAX]);
const char *units_rate_text(int64_t bits_per_second, char buf[UNITS_TEXT_MAX]);

/* A whole decimal number, with an optional minus sign. */
int units_integer(const char *text, int64_t *ret, struct err *err);
