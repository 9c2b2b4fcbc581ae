/* loadgen: an HTTP/1.1 load generator for one gateway on loopback (one thread, epoll).
 *
 *   loadgen -u http://127.0.0.1:8000/v1/chat/completions -b BODY.json [-H 'Name: value']...
 *           [-c CONNS] [-s SPREAD_SECONDS] [-d SECONDS] [-w WARMUP_SECONDS] [-n MAX_REQUESTS]
 *           [-r RATE [-U]] [-F FRAMES [-l LATE_US]] [-e END] [-P PID]... [-L LABEL]
 *
 *   without -r: closed loop, CONNS requests always under way; their first ones begin spread evenly over
 *               SPREAD_SECONDS (0: all at once).
 *   with    -r: open loop, RATE requests a second (Poisson arrivals, fixed seed; -U evenly spaced), over at
 *               most CONNS connections. A request that waits for a free connection, or that this program
 *               sends late, has that wait counted in its latency, so slowness of the target is not hidden.
 *   -F          every stream must bring FRAMES stamped chunks; each one missing is a lost frame. A frame
 *               whose transit took more than LATE_US (100000) is late.
 *   -e          what a stream says at its end, "[DONE]" if not given; it must come after the usage.
 *   -P          count the CPU time of this process and its descendants, and report their memory (PSS).
 *
 * Answers with one JSON line. lat_* is microseconds from send to the last byte; ttfb_* to the first byte of
 * the body; chunk_* is the transit time of each SSE chunk stamped by mockup ("@" and 19 digits). answered,
 * bad, closed_early, no_done, no_usage, frames and frames_lost count from the first request to the last answer;
 * frames_late and late_max_us begin with the measured window; everything else is about that window.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_NS 10000000000ull /* how long answers that are under way at the end are waited for */

enum { IDLE, CONNECTING, SENDING, HEAD, BODY };

struct conn {
    int fd, st, want_w, status, chunked, until_close, keep, sse;
    size_t off; /* sent of the request */
    char head[16384];
    size_t hl;
    long left; /* body or chunk bytes to come */
    int cst;   /* chunked: 0 size line, 1 data, 2 CRLF after data, 3 trailer */
    char line[64];
    int ll;
    int ts_n;
    uint64_t ts;
    int bol;
    int dn;
    int done_seen, usage_seen, us_n;
    uint64_t t_sched, t_send, t_first, events, bytes;
    long frames;
    struct conn *next;
};

static struct sockaddr_in dst;
static int ep, tfd;
static char *req;
static size_t req_len;
static struct conn *idle, **all;
static int nconn, maxc = 1;
static double rate;
static int uniform;
static uint64_t t_start, t_measure, t_end, t_next;
static long max_req = 50000000, started, inflight;
static uint64_t *q;
static size_t qh, qt, qcap; /* arrivals waiting for a connection */

struct vec {
    float *v;
    size_t n, cap;
};
static struct vec lat, ttfb, transit;
static double max_lag;
static long frames_expected, frames, frames_lost, frames_late, answered;
static double late_us = 1e5, late_max_us;
static double spread;
static long done_in_window, ok, bad, closed_early, no_done, no_usage, reconnects;
static uint64_t events, bytes;
static const char *end_mark = "[DONE]";
static int last_bad_status;
static char last_bad[200];

static void vadd(struct vec *a, double x) {
    if (a->n == a->cap)
        a->v = realloc(a->v, sizeof(float) * (a->cap = a->cap ? a->cap * 2 : 65536));
    a->v[a->n++] = x;
}

static int cmp(const void *a, const void *b) {
    float x = *(float *)a, y = *(float *)b;
    return x < y ? -1 : x > y;
}

static double pct(struct vec *a, double p) {
    if (!a->n)
        return -1;
    size_t i = p * a->n;
    if (i >= a->n)
        i = a->n - 1;
    return a->v[i];
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t rs = 88172645463325252ull;

static double rnd(void) {
    rs ^= rs << 13;
    rs ^= rs >> 7;
    rs ^= rs << 17;
    return (rs >> 11) * (1.0 / 9007199254740992.0);
}

static void arm(struct conn *c, int w) {
    if (c->want_w == w)
        return;
    c->want_w = w;
    struct epoll_event e = {.events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void dial(struct conn *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)!connect(c->fd, (void *)&dst, sizeof dst);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    c->want_w = 1;
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static void push(struct conn *c);

static void hang(struct conn *c) {
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->want_w = 0;
}

static void begin(struct conn *c, uint64_t sched) {
    uint64_t t = now_ns();
    c->t_send = t;
    c->t_sched = sched;
    c->off = 0;
    c->hl = 0;
    c->ll = 0;
    c->cst = 0;
    c->status = 0;
    c->t_first = 0;
    c->events = c->bytes = 0;
    c->frames = 0;
    c->bol = 1;
    c->dn = 0;
    c->ts_n = -1;
    c->done_seen = c->usage_seen = c->us_n = 0;
    started++;
    inflight++;
    if (c->fd < 0) {
        c->st = CONNECTING;
        dial(c);
        return;
    }
    c->st = SENDING;
    push(c);
}

static void finish(struct conn *c, int good) {
    uint64_t t = now_ns();
    inflight--;
    if (good && c->status == 200)
        answered++;
    if (frames_expected > c->frames)
        frames_lost += frames_expected - c->frames;
    if (good && c->status == 200 && t >= t_measure && t < t_end)
        done_in_window++; /* throughput: whenever it began */
    if (good && c->status == 200) {
        if (c->sse && !c->done_seen)
            no_done++;
        if (!c->usage_seen)
            no_usage++;
    } else {
        bad++;
        last_bad_status = c->status;
        if (!good)
            closed_early++;
    }
    if (good && c->status == 200 && c->t_sched >= t_measure) {
        ok++;
        events += c->events;
        bytes += c->bytes;
        double l = (t - c->t_sched) / 1e3;
        vadd(&lat, l);
        if (c->t_first)
            vadd(&ttfb, (c->t_first - c->t_sched) / 1e3);
    }
    c->st = IDLE;
    if (!good || !c->keep) {
        hang(c);
        reconnects++;
    }
    t = now_ns();
    if (t >= t_end || started >= max_req) {
        c->next = idle;
        idle = c;
        return;
    }
    if (rate > 0) {
        if (qh != qt) {
            begin(c, q[qh++ % qcap]);
            return;
        }
        c->next = idle;
        idle = c;
    } else
        begin(c, t);
}

static void push(struct conn *c) {
    ssize_t w = send(c->fd, req + c->off, req_len - c->off, MSG_NOSIGNAL);
    if (w < 0) {
        if (errno == EAGAIN || errno == ENOTCONN) {
            arm(c, 1);
            return;
        }
        c->keep = 0;
        finish(c, 0);
        return;
    }
    c->off += w;
    if (c->off < req_len) {
        arm(c, 1);
        return;
    }
    arm(c, 0);
    c->st = HEAD;
}

static void frame(struct conn *c, uint64_t t) {
    if (!c->ts)
        return;
    double us = t > c->ts ? (t - c->ts) / 1e3 : 0;
    c->frames++;
    frames++;
    if (t < t_measure)
        return;
    if (us > late_us)
        frames_late++;
    if (us > late_max_us)
        late_max_us = us;
    if (t <= t_end)
        vadd(&transit, us);
}

static void body_bytes(struct conn *c, const char *p, size_t n, uint64_t t) {
    if (!c->t_first && n)
        c->t_first = t;
    c->bytes += n;
    static const char D[] = "data:", U[] = "\"usage\":{";
    if (!c->sse) {
        if (memmem(p, n, "\"usage\"", 7))
            c->usage_seen = 1;
        if (c->status != 200 && n) {
            size_t k = n < sizeof last_bad - 1 ? n : sizeof last_bad - 1;
            memcpy(last_bad, p, k);
            last_bad[k] = 0;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char ch = p[i];
        if (c->ts_n >= 0) {
            if (ch >= '0' && ch <= '9') {
                c->ts = c->ts * 10 + (ch - '0');
                if (++c->ts_n == 19) {
                    frame(c, t);
                    c->ts_n = -1;
                }
                continue;
            }
            c->ts_n = -1;
        }
        if (ch == '@') {
            c->ts_n = 0;
            c->ts = 0;
        }
        if (c->bol && ch == D[c->dn]) {
            if (++c->dn == 5) {
                c->events++;
                c->bol = 0;
                c->dn = 0;
            }
            continue;
        }
        if (ch == '\n') {
            c->bol = 1;
            c->dn = 0;
        } else
            c->bol = 0;
        if (ch == ' ' && !c->usage_seen)
            continue;
        if (!c->usage_seen) {
            c->us_n = ch == U[c->us_n] ? c->us_n + 1 : ch == '"';
            if (c->us_n == 9) {
                c->usage_seen = 1;
                c->us_n = 0;
            }
        } else if (!c->done_seen) {
            c->us_n = ch == end_mark[c->us_n] ? c->us_n + 1 : ch == end_mark[0];
            if (!end_mark[c->us_n])
                c->done_seen = 1;
        }
    }
}

static const char *header(const char *h, size_t n, const char *name) {
    size_t k = strlen(name);
    for (const char *p = h, *e = h + n; p < e;) {
        const char *nl = memchr(p, '\n', e - p);
        if (!nl)
            break;
        if ((size_t)(nl - p) > k && p[k] == ':' && !strncasecmp(p, name, k)) {
            p += k + 1;
            while (*p == ' ')
                p++;
            return p;
        }
        p = nl + 1;
    }
    return 0;
}

/* 1 complete, 0 more to come, -1 broken */
static int feed(struct conn *c, const char *p, size_t n, uint64_t t) {
    if (c->st == HEAD) {
        if (c->hl + n > sizeof c->head - 1) {
            if (c->hl >= sizeof c->head - 1)
                return -1;
        }
        size_t k = n < sizeof c->head - 1 - c->hl ? n : sizeof c->head - 1 - c->hl, before = c->hl;
        memcpy(c->head + c->hl, p, k);
        c->hl += k;
        c->head[c->hl] = 0;
        char *e = memmem(c->head, c->hl, "\r\n\r\n", 4);
        if (!e)
            return 0;
        size_t hl = e + 4 - c->head;
        const char *v;
        c->status = atoi(c->head + 9);
        c->chunked = (v = header(c->head, hl, "transfer-encoding")) && !strncasecmp(v, "chunked", 7);
        c->keep = !((v = header(c->head, hl, "connection")) && !strncasecmp(v, "close", 5));
        c->sse = (v = header(c->head, hl, "content-type")) && !strncasecmp(v, "text/event-stream", 17);
        c->until_close = 0;
        c->left = 0;
        if (!c->chunked) {
            if ((v = header(c->head, hl, "content-length")))
                c->left = atol(v);
            else {
                c->until_close = 1;
                c->keep = 0;
            }
        }
        c->st = BODY;
        p += hl - before;
        n -= hl - before;
        if (!c->chunked && !c->until_close && !c->left)
            return 1;
    }
    if (c->until_close) {
        body_bytes(c, p, n, t);
        return 0;
    }
    if (!c->chunked) {
        size_t k = n < (size_t)c->left ? n : (size_t)c->left;
        body_bytes(c, p, k, t);
        c->left -= k;
        return c->left == 0;
    }
    while (n) {
        if (c->cst == 0 || c->cst == 3) {
            char ch = *p++;
            n--;
            if (ch != '\n') {
                if (c->ll < 62)
                    c->line[c->ll++] = ch;
                continue;
            }
            c->line[c->ll] = 0;
            int empty = c->ll == 0 || (c->ll == 1 && c->line[0] == '\r');
            c->ll = 0;
            if (c->cst == 3) {
                if (empty)
                    return 1;
                continue;
            }
            c->left = strtol(c->line, 0, 16);
            c->cst = c->left ? 1 : 3;
        } else if (c->cst == 1) {
            size_t k = n < (size_t)c->left ? n : (size_t)c->left;
            body_bytes(c, p, k, t);
            p += k;
            n -= k;
            c->left -= k;
            if (!c->left)
                c->cst = 2;
        } else {
            char ch = *p++;
            n--;
            if (ch == '\n')
                c->cst = 0;
        }
    }
    return 0;
}

/* CPU time (microseconds) and PSS (KiB) of pids and their descendants */
static int pids[64], npids;

struct pi {
    int pid, pp;
    unsigned long long cpu;
};

static double tree(double *pss, int *procs) {
    static struct pi a[32768];
    int n = 0;
    DIR *d = opendir("/proc");
    struct dirent *e;
    if (!d)
        return 0;
    while ((e = readdir(d)) && n < 32768) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        char f[300], b[1024];
        snprintf(f, sizeof f, "/proc/%s/stat", e->d_name);
        FILE *s = fopen(f, "r");
        if (!s)
            continue;
        size_t k = fread(b, 1, sizeof b - 1, s);
        fclose(s);
        b[k] = 0;
        char *r = strrchr(b, ')');
        if (!r)
            continue;
        unsigned long long u, v;
        int pp;
        char stt;
        if (sscanf(r + 2, "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &stt, &pp, &u, &v) != 4)
            continue;
        a[n].pid = atoi(e->d_name);
        a[n].pp = pp;
        a[n++].cpu = u + v;
    }
    closedir(d);
    static int in[4096];
    int m = 0;
    for (int i = 0; i < npids; i++)
        in[m++] = pids[i];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n && m < 4096; j++)
            if (a[j].pp == in[i]) {
                int seen = 0;
                for (int x = 0; x < m; x++)
                    seen |= in[x] == a[j].pid;
                if (!seen)
                    in[m++] = a[j].pid;
            }
    double t = 0;
    *pss = 0;
    *procs = 0;
    double hz = sysconf(_SC_CLK_TCK);
    for (int i = 0; i < m; i++) {
        double ns = 0;
        int got = 0;
        char td[64];
        snprintf(td, sizeof td, "/proc/%d/task", in[i]);
        DIR *k = opendir(td);
        struct dirent *te; /* schedstat counts nanoseconds; stat only clock ticks */
        while (k && (te = readdir(k))) {
            if (!isdigit((unsigned char)te->d_name[0]))
                continue;
            char f[400];
            double x;
            snprintf(f, sizeof f, "%s/%s/schedstat", td, te->d_name);
            FILE *s = fopen(f, "r");
            if (!s)
                continue;
            if (fscanf(s, "%lf", &x) == 1) {
                ns += x;
                got = 1;
            }
            fclose(s);
        }
        if (k)
            closedir(k);
        for (int j = 0; j < n; j++)
            if (a[j].pid == in[i]) {
                t += got ? ns / 1e3 : a[j].cpu * 1e6 / hz;
                ++*procs;
            }
        char f[64], l[256];
        snprintf(f, sizeof f, "/proc/%d/smaps_rollup", in[i]);
        FILE *s = fopen(f, "r");
        if (!s)
            continue;
        while (fgets(l, sizeof l, s))
            if (!strncmp(l, "Pss:", 4))
                *pss += atof(l + 4);
        fclose(s);
    }
    return t;
}

int main(int ac, char **av) {
    const char *url = 0, *label = "";
    char hdr[8192] = "";
    size_t hn = 0;
    double dur = 5, warm = 1;
    int o;
    char *body = "";
    size_t bl = 0;
    while ((o = getopt(ac, av, "u:b:H:c:s:d:w:n:r:UF:l:e:P:L:h")) != -1)
        switch (o) {
        case 'u': url = optarg; break;
        case 'L': label = optarg; break;
        case 'H':
            hn += snprintf(hdr + hn, sizeof hdr - hn, "%s\r\n", optarg);
            if (hn >= sizeof hdr)
                return 2;
            break;
        case 'c': maxc = atoi(optarg); break;
        case 'd': dur = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 's': spread = atof(optarg); break;
        case 'F': frames_expected = atol(optarg); break;
        case 'l': late_us = atof(optarg); break;
        case 'e': end_mark = optarg; break;
        case 'n': max_req = atol(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'U': uniform = 1; break;
        case 'P':
            if (npids < 64)
                pids[npids++] = atoi(optarg);
            break;
        case 'b': {
            FILE *f = fopen(optarg, "rb");
            if (!f) {
                perror(optarg);
                return 2;
            }
            body = malloc(1 << 24);
            bl = fread(body, 1, 1 << 24, f);
            fclose(f);
            break;
        }
        default: fprintf(stderr, "see the head of loadgen.c\n"); return 2;
        }
    char host[128], path[1024] = "/";
    int port = 80;
    if (!url || sscanf(url, "http://%127[0-9.]:%d%1023s", host, &port, path) < 2) {
        fprintf(stderr, "loadgen: -u http://127.0.0.1:PORT/PATH\n");
        return 2;
    }
    if (strncmp(host, "127.", 4)) {
        fprintf(stderr, "loadgen: only loopback\n");
        return 2;
    }
    if (!*end_mark || dur > 600 || warm > 600 || spread > warm || maxc < 1 || maxc > 20000) {
        fprintf(stderr, "loadgen: out of bounds\n");
        return 2;
    }
    dst.sin_family = AF_INET;
    dst.sin_port = htons(port);
    inet_pton(AF_INET, host, &dst.sin_addr);
    req = malloc(bl + hn + 2048);
    req_len = bl ? sprintf(req,
                           "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nAccept: "
                           "*/*\r\nUser-Agent: loadgen\r\n%sContent-Length: %zu\r\n\r\n",
                           path, host, port, hdr, bl)
                 : sprintf(req, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n", path, host, port, hdr);
    memcpy(req + req_len, body, bl);
    req_len += bl;
    signal(SIGPIPE, SIG_IGN);
    ep = epoll_create1(0);
    tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &tfd};
    epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &e);
    all = calloc(maxc, sizeof *all);
    t_start = now_ns();
    t_measure = t_start + warm * 1e9;
    t_end = t_measure + dur * 1e9;
    t_next = t_start;
    for (int i = 0; i < maxc; i++) {
        struct conn *c = all[nconn++] = calloc(1, sizeof *c);
        c->fd = -1;
        if (rate > 0) {
            c->next = idle;
            idle = c;
        }
    }
    q = calloc(qcap = 1 << 20, sizeof *q);
    int begun = 0;
    double step = spread * 1e9 / maxc;
    static struct epoll_event ev[1024];
    static char buf[1 << 18];
    int measured = 0;
    double cpu0 = 0, cpu1 = 0, pss = 0;
    int procs = 0;
    uint64_t m0 = 0, m1 = 0;
    long ok_at_end = -1;
    uint64_t ev_at_end = 0;
    for (;;) {
        uint64_t t = now_ns();
        if (!measured && t >= t_measure) {
            measured = 1;
            cpu0 = tree(&pss, &procs);
            m0 = now_ns();
            t_measure = m0;
            t_end = m0 + dur * 1e9;
            done_in_window = 0;
        }
        if (ok_at_end < 0 && t >= t_end) {
            ok_at_end = done_in_window;
            ev_at_end = events;
            m1 = now_ns();
            cpu1 = tree(&pss, &procs);
        }
        if (t >= t_end && (!inflight || t > t_end + DRAIN_NS))
            break;
        if (started >= max_req && !inflight) {
            if (ok_at_end < 0) {
                ok_at_end = done_in_window;
                ev_at_end = events;
                m1 = t;
                cpu1 = tree(&pss, &procs);
            }
            break;
        }
        if (rate > 0) {
            while (t_next <= t && t_next < t_end && started < max_req) {
                if (idle) {
                    struct conn *c = idle;
                    idle = c->next;
                    double lag = (now_ns() - t_next) / 1e3;
                    if (lag > max_lag && t_next >= t_measure)
                        max_lag = lag;
                    begin(c, lag > 1000 ? t_next : now_ns());
                } else if (qt - qh < qcap)
                    q[qt++ % qcap] = t_next;
                t_next += (uniform ? 1.0 : -log(1 - rnd())) / rate * 1e9;
            }
            struct itimerspec s = {.it_value = {t_next / 1000000000ull, t_next % 1000000000ull}};
            timerfd_settime(tfd, TFD_TIMER_ABSTIME, &s, 0);
        }
        if (rate <= 0 && begun < maxc) {
            while (begun < maxc && t_start + (uint64_t)(begun * step) <= t)
                begin(all[begun++], now_ns());
            uint64_t due = t_start + (uint64_t)(begun * step);
            struct itimerspec s = {.it_value = {due / 1000000000ull, due % 1000000000ull}};
            timerfd_settime(tfd, TFD_TIMER_ABSTIME, &s, 0);
        }
        int k = epoll_wait(ep, ev, 1024, 100);
        for (int i = 0; i < k; i++) {
            if (ev[i].data.ptr == &tfd) {
                uint64_t x;
                (void)!read(tfd, &x, 8);
                continue;
            }
            struct conn *c = ev[i].data.ptr;
            if (c->fd < 0)
                continue;
            if (c->st == CONNECTING) {
                int er = 0;
                socklen_t l = sizeof er;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &er, &l);
                if (er) {
                    hang(c);
                    c->keep = 0;
                    usleep(2000);
                    finish(c, 0);
                    continue;
                }
                if (ev[i].events & EPOLLOUT) {
                    c->st = SENDING;
                    push(c);
                }
                continue;
            }
            if ((ev[i].events & EPOLLOUT) && c->st == SENDING) {
                push(c);
                if (c->fd < 0)
                    continue;
            }
            if (!(ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                continue;
            ssize_t r = recv(c->fd, buf, sizeof buf, 0);
            if (r > 0) {
                if (c->st == IDLE) {
                    hang(c);
                    continue;
                }
                if (c->st == SENDING)
                    c->st = HEAD;
                int f = feed(c, buf, r, now_ns());
                if (f)
                    finish(c, f > 0);
            } else if (!r || errno != EAGAIN) {
                if (c->st == IDLE) {
                    hang(c);
                    reconnects++;
                } else if (c->st == BODY && c->until_close)
                    finish(c, 1);
                else {
                    c->keep = 0;
                    finish(c, 0);
                }
            }
        }
    }
    for (int i = 0; i < maxc; i++)
        if (all[i]->st != IDLE && frames_expected > all[i]->frames)
            frames_lost += frames_expected - all[i]->frames;
    double secs = (m1 - m0) / 1e9;
    long stuck = inflight;
    if (ok_at_end < 0) {
        ok_at_end = done_in_window;
        ev_at_end = events;
    }
    qsort(lat.v, lat.n, 4, cmp);
    qsort(ttfb.v, ttfb.n, 4, cmp);
    qsort(transit.v, transit.n, 4, cmp);
    double cpu = npids ? cpu1 - cpu0 : -1;
    /* chunks seen in the window, by their own stamps, so that long streams count as they go */
    printf(
        "{\"label\":\"%s\",\"rate\":%.0f,\"conns\":%d,\"secs\":%.2f,\"ok\":%ld,\"bad\":%ld,\"closed_early\":%"
        "ld,\"stuck\":%ld,\"rps\":%.1f,"
        "\"lat_p50\":%.0f,\"lat_p90\":%.0f,\"lat_p99\":%.0f,\"lat_p999\":%.0f,\"lat_max\":%.0f,\"ttfb_p50\":%"
        ".0f,\"ttfb_p99\":%.0f,"
        "\"chunks\":%zu,\"chunks_s\":%.0f,\"chunk_p50\":%.0f,\"chunk_p99\":%.0f,\"events\":%llu,\"no_done\":%"
        "ld,\"no_usage\":%ld,\"reconnects\":%ld,\"unsent\":%zu,\"max_lag\":%.0f,"
        "\"answered\":%ld,\"frames\":%ld,\"frames_lost\":%ld,\"frames_late\":%ld,\"late_max_us\":%.0f,\"cpu_"
        "us\":%.0f,\"cpu_pct\":%.1f,\"cpu_us_req\":%.1f,\"cpu_us_chunk\":%.2f,\"pss_mb\":%.1f,\"procs\":%d",
        label, rate, maxc, secs, ok, bad, closed_early, stuck, ok_at_end / secs, pct(&lat, .5), pct(&lat, .9),
        pct(&lat, .99), pct(&lat, .999), pct(&lat, 1), pct(&ttfb, .5), pct(&ttfb, .99), transit.n,
        transit.n / secs, pct(&transit, .5), pct(&transit, .99), (unsigned long long)ev_at_end, no_done,
        no_usage, reconnects, qt - qh, max_lag, answered, frames, frames_lost, frames_late, late_max_us, cpu,
        cpu < 0 ? -1 : cpu / secs / 1e4, cpu < 0 || !ok_at_end ? -1 : cpu / ok_at_end,
        cpu < 0 || !transit.n ? -1 : cpu / transit.n, pss / 1024, procs);
    if (bad) {
        printf(",\"bad_status\":%d,\"bad_body\":\"", last_bad_status);
        for (char *p = last_bad; *p; p++)
            putchar(*p == '"' || *p == '\\' || (unsigned char)*p < 32 ? '\'' : *p);
        putchar('"');
    }
    puts("}");
    return 0;
}
