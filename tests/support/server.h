/* Servers and clients small enough to be understood, for hosts of test labs. */
#pragma once

/* server tcp PORT [daemon] [title]: takes connections and answers "ok"; says "listening". daemon:
 *     goes to the background like a Unix daemon; title: overwrites argv and the environment.
 * server die CODE [MS]: says "dying", waits, exits.
 * server forever: waits for signals; server tree: with a child and a grandchild in a new session; server
 *     parent: cannot be stopped until its child ends by SIGUSR1 ("the child runs", "the parent goes on").
 * server mesh PORT COUNT ADDRESS…: sends one datagram to each address, counts what arrives.
 * server hold ADDRESS PORT: connects, says "connected", then tells how the connection ended.
 * server say ADDRESS PORT LETTER: sends one datagram.
 * server ticks COUNT MS: "tick T" before and "done T" after each write, T of CLOCK_MONOTONIC.
 * server get ADDRESS PORT: connects, prints the answer. */
int server_main(int argc, char **argv);
