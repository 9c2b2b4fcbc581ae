/* mockup: a small upstream for benchmarks, OpenAI-compatible and like Anthropic's (one thread, epoll, HTTP/1.1
 * keep-alive).
 *
 *   mockup [-p PORT] [-n CHUNKS] [-d DELAY_US] [-t TTFB_US] [-g GROUP] [-B BYTES]
 *
 *   Prints "mockup: port N" when it listens on 127.0.0.1:N (-p 0: any free port).
 *
 *   POST .../messages -> an answer in the Anthropic Messages format, as below
 *   POST anything else -> a chat completion (JSON), or an SSE stream when the body has "stream": true
 *   GET  anything  -> a model list
 *   -n  content chunks in a stream (default 100)       -d  microseconds between chunks (default 0)
 *   -t  microseconds before the first byte (default 0) -g  chunks per write (default 1)
 *   -B  length of the content of a non-stream answer (default 300)
 * A request can override these for itself by having  mock:n=100,d=5000,t=0,g=1,s=200;  anywhere in its
 * body (for example in a message); s is the HTTP status to answer with. Every content chunk carries the
 * time it was written ("@" and 19 digits, CLOCK_MONOTONIC ns), from which loadgen reckons transit time.
 * Chunks keep to their schedule: one that is written late does not push back those that follow.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
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

/* what is answered: a stream's events, in which pieces have a time in them, or the whole */
struct format {
    const char *open[3], *piece, *close[4]; /* each list ends with 0 */
    char *plain;
    size_t plain_len;
};

struct conn {
    int fd, closing, armed;
    char *in;
    size_t inlen, incap;
    char *out;
    size_t outlen, outcap;
    int busy;                                 /* an answer is under way */
    int stream, stage, left, n, d, g, status; /* stage: 0 head, 1 content, 2 tail */
    const struct format *format;
    uint64_t due;
    int heap; /* heap: index + 1, 0 when not in it */
};

static int ep, tfd, rearm;
static int def_n = 100, def_d = 0, def_t = 0, def_g = 1, def_b = 300;

static struct conn **heap;
static int hn, hcap;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void hset(int i, struct conn *c) {
    heap[i] = c;
    c->heap = i + 1;
}

static void hup(int i) {
    struct conn *c = heap[i];
    while (i && heap[(i - 1) / 2]->due > c->due) {
        hset(i, heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    hset(i, c);
}

static void hdown(int i) {
    struct conn *c = heap[i];
    for (;;) {
        int k = 2 * i + 1;
        if (k >= hn)
            break;
        if (k + 1 < hn && heap[k + 1]->due < heap[k]->due)
            k++;
        if (heap[k]->due >= c->due)
            break;
        hset(i, heap[k]);
        i = k;
    }
    hset(i, c);
}

static void hadd(struct conn *c) {
    if (hn == hcap)
        heap = realloc(heap, sizeof *heap * (hcap = hcap ? hcap * 2 : 256));
    hset(hn, c);
    hup(hn++);
}

static void hdel(struct conn *c) {
    int i = c->heap - 1;
    if (i < 0)
        return;
    c->heap = 0;
    struct conn *l = heap[--hn];
    if (l != c) {
        hset(i, l);
        hup(i);
        hdown(l->heap - 1);
    }
}

static void drop(struct conn *c) {
    hdel(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void arm(struct conn *c, int w) {
    if (c->armed == w)
        return;
    c->armed = w;
    struct epoll_event e = {.events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

/* 0 ok, -1 connection broken */
static int put(struct conn *c, const char *p, size_t n) {
    if (!c->outlen) {
        ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
        if (w < 0) {
            if (errno != EAGAIN)
                return -1;
            w = 0;
        }
        if ((size_t)w == n)
            return 0;
        p += w;
        n -= w;
    }
    if (c->outlen + n > c->outcap)
        c->out = realloc(c->out, c->outcap = (c->outlen + n) * 2);
    memcpy(c->out + c->outlen, p, n);
    c->outlen += n;
    arm(c, 1);
    return 0;
}

static int flush(struct conn *c) {
    ssize_t w = send(c->fd, c->out, c->outlen, MSG_NOSIGNAL);
    if (w < 0)
        return errno == EAGAIN ? 0 : -1;
    memmove(c->out, c->out + w, c->outlen - w);
    c->outlen -= w;
    if (!c->outlen)
        arm(c, 0);
    return 0;
}

#define CH                                                                                                   \
    "data: "                                                                                                 \
    "{\"id\":\"chatcmpl-BenchMock0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":"       \
    "1760000000,\"model\":\"mock-model\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_"          \
    "0123456789\",\"choices\":"

static struct format chat = {
    .open = {CH "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"},
    .piece = CH "[{\"index\":0,\"delta\":{\"content\":\"@%019llu\"},\"logprobs\":null,\"finish_"
                "reason\":null}],\"usage\":null}\n\n",
    .close = {CH "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                 "\"usage\":null}\n\n",
              CH "[],\"usage\":{\"prompt_tokens\":421,\"completion_tokens\":100,\"total_tokens\":521,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_"
                 "tokens\":0}}}\n\n",
              "data: [DONE]\n\n"},
};

/* Anthropic puts blanks behind the text, to hide how long it is. */
static struct format messages = {
    .open = {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_"
             "BenchMock0123456789\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock-model\","
             "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":421,"
             "\"output_tokens\":1}}}\n\n",
             "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_"
             "block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"},
    .piece = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
             "\"type\":\"text_delta\",\"text\":\"@%019llu\"}      }\n\n",
    .close = {"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
              "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
              "\"stop_sequence\":null},\"usage\":{\"output_tokens\":100}}\n\n",
              "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
};

static int event(char *b, const char *fmt, uint64_t ts) {
    char t[1024];
    int n = snprintf(t, sizeof t, fmt, (unsigned long long)ts);
    return sprintf(b, "%x\r\n%s\r\n", n, t);
}

/* write what is due of an answer; 0 under way, 1 complete, -1 broken */
static int step(struct conn *c) {
    static char b[1 << 16];
    size_t n;
    if (!c->stream) {
        if (c->status == 200)
            return put(c, c->format->plain, c->format->plain_len) ? -1 : 1;
        const char *e = "{\"error\":{\"message\":\"mock error\",\"type\":\"mock_error\",\"code\":\"mock\"}}";
        n = sprintf(b, "HTTP/1.1 %d Mock\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                    c->status, strlen(e), e);
        return put(c, b, n) ? -1 : 1;
    }
    if (c->stage == 0) {
        n = sprintf(b, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: "
                       "no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (const char *const *e = c->format->open; *e; e++)
            n += event(b + n, *e, 0);
        if (put(c, b, n))
            return -1;
        c->stage = 1;
        c->left = c->n;
        if (c->d) {
            c->due = now_ns() + c->d * 1000ull;
            return 0;
        }
    }
    while (c->left > 0) {
        n = 0;
        uint64_t t = now_ns();
        for (int i = 0; i < c->g && c->left > 0 && n < sizeof b - 2048; i++, c->left--)
            n += event(b + n, c->format->piece, t);
        if (put(c, b, n))
            return -1;
        if (c->d && c->left > 0) {
            c->due += c->d * 1000ull;
            return 0;
        }
    }
    n = 0;
    for (const char *const *e = c->format->close; *e; e++)
        n += event(b + n, *e, 0);
    n += sprintf(b + n, "0\r\n\r\n");
    return put(c, b, n) ? -1 : 1;
}

static const char *header(const char *h, size_t n, const char *name, size_t *vl) {
    size_t k = strlen(name);
    for (const char *p = h, *e = h + n; p < e;) {
        const char *q = memchr(p, '\n', e - p);
        if (!q)
            q = e;
        if ((size_t)(q - p) > k && p[k] == ':' && !strncasecmp(p, name, k)) {
            const char *v = p + k + 1;
            while (v < q && *v == ' ')
                v++;
            const char *t = q;
            while (t > v && (t[-1] == '\r' || t[-1] == ' '))
                t--;
            *vl = t - v;
            return v;
        }
        p = q + 1;
    }
    return 0;
}

/* length of the body in wire bytes, -1 when more is needed */
static long chunked_len(const char *p, size_t n) {
    size_t o = 0;
    for (;;) {
        const char *q = memmem(p + o, n - o, "\r\n", 2);
        if (!q)
            return -1;
        size_t k = strtoul(p + o, 0, 16);
        o = q + 2 - p;
        if (o + k + 2 > n)
            return -1;
        o += k + 2;
        if (!k)
            return o;
    }
}

/* answer every whole request at hand; 0 ok, -1 broken */
static int serve(struct conn *c) {
    while (!c->busy && c->inlen) {
        char *e = memmem(c->in, c->inlen, "\r\n\r\n", 4);
        if (!e)
            return c->inlen > 65536 ? -1 : 0;
        size_t hl = e + 4 - c->in, vl, avail = c->inlen - hl, bl = 0;
        const char *v;
        if ((v = header(c->in, hl, "content-length", &vl))) {
            bl = strtoul(v, 0, 10);
            if (avail < bl)
                return 0;
        } else if ((v = header(c->in, hl, "transfer-encoding", &vl))) {
            long k = chunked_len(e + 4, avail);
            if (k < 0)
                return 0;
            bl = k;
        }
        c->status = 200;
        c->stream = 0;
        c->n = def_n;
        c->d = def_d;
        c->g = def_g;
        int t = def_t;
        if (c->in[0] == 'G' || c->in[0] == 'H') {
            const char *r = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 83\r\n\r\n"
                            "{\"object\":\"list\",\"data\":[{\"id\":\"mock-model\",\"object\":\"model\","
                            "\"owned_by\":\"mock\"}]}\n ";
            memmove(c->in, c->in + hl + bl, c->inlen - hl - bl);
            c->inlen -= hl + bl;
            if (put(c, r, strlen(r)))
                return -1;
            continue;
        }
        char *space = memchr(c->in + 5, ' ', hl - 5);
        c->format = space && space - c->in > 13 && !memcmp(space - 9, "/messages", 9) ? &messages : &chat;
        char *b = e + 4, *s;
        if ((s = memmem(b, bl, "\"stream\"", 8))) {
            s += 8;
            while (s < b + bl && (*s == ' ' || *s == ':'))
                s++;
            c->stream = s < b + bl && *s == 't';
        }
        if ((s = memmem(b, bl, "mock:", 5))) {
            for (s += 5; s + 2 < b + bl && isalpha((unsigned char)*s) && s[1] == '=';) {
                char k = *s;
                int x = strtol(s + 2, &s, 10);
                if (k == 'n')
                    c->n = x;
                else if (k == 'd')
                    c->d = x;
                else if (k == 't')
                    t = x;
                else if (k == 'g')
                    c->g = x > 0 ? x : 1;
                else if (k == 's')
                    c->status = x;
                if (*s == ',')
                    s++;
                else
                    break;
            }
        }
        if (c->status != 200)
            c->stream = 0;
        memmove(c->in, c->in + hl + bl, c->inlen - hl - bl);
        c->inlen -= hl + bl;
        c->stage = 0;
        if (t > 0) {
            c->busy = 1;
            c->due = now_ns() + t * 1000ull;
            hadd(c);
            return 0;
        }
        int r = step(c);
        if (r < 0)
            return -1;
        if (!r) {
            c->busy = 1;
            hadd(c);
        }
    }
    return 0;
}

static void set_timer(void) {
    static uint64_t last;
    uint64_t due = hn ? heap[0]->due : 0;
    if (due == last && !rearm)
        return;
    rearm = 0;
    last = due;
    struct itimerspec s = {0};
    if (hn) {
        s.it_value.tv_sec = heap[0]->due / 1000000000ull;
        s.it_value.tv_nsec = heap[0]->due % 1000000000ull;
    }
    timerfd_settime(tfd, TFD_TIMER_ABSTIME, &s, 0);
}

static volatile sig_atomic_t stop;

static void on_sig(int s) {
    (void)s;
    stop = 1;
}

static void whole(struct format *f, const char *body_format, const char *text) {
    char *body;
    int bl = asprintf(&body, body_format, text);
    f->plain_len = asprintf(&f->plain,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: "
                            "req_0123456789\r\nContent-Length: %d\r\n\r\n%s",
                            bl, body);
    free(body);
}

int main(int ac, char **av) {
    int port = 9100, o;
    while ((o = getopt(ac, av, "p:n:d:t:g:B:h")) != -1)
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'n': def_n = atoi(optarg); break;
        case 'd': def_d = atoi(optarg); break;
        case 't': def_t = atoi(optarg); break;
        case 'g': def_g = atoi(optarg) > 0 ? atoi(optarg) : 1; break;
        case 'B': def_b = atoi(optarg); break;
        default:
            fprintf(stderr,
                    "mockup [-p PORT] [-n CHUNKS] [-d DELAY_US] [-t TTFB_US] [-g GROUP] [-B BYTES]\n");
            return 2;
        }
    signal(SIGTERM, on_sig);
    signal(SIGINT, on_sig);
    signal(SIGPIPE, SIG_IGN);
    char *txt = malloc(def_b + 1);
    for (int i = 0; i < def_b; i++)
        txt[i] = "the quick brown fox jumps over it "[i % 34];
    txt[def_b] = 0;
    whole(&chat,
          "{\"id\":\"chatcmpl-BenchMock0123456789abcdef\",\"object\":\"chat.completion\","
          "\"created\":1760000000,\"model\":\"mock-model\","
          "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\","
          "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
          "\"usage\":{\"prompt_tokens\":421,\"completion_tokens\":68,\"total_tokens\":489,"
          "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
          "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"service_tier\":\"default\","
          "\"system_fingerprint\":\"fp_0123456789\"}",
          txt);
    whole(&messages,
          "{\"id\":\"msg_BenchMock0123456789\",\"type\":\"message\",\"role\":\"assistant\","
          "\"model\":\"mock-model\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],"
          "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
          "\"usage\":{\"input_tokens\":421,\"output_tokens\":68}}",
          txt);
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) {
        perror("mockup: bind");
        return 1;
    }
    ep = epoll_create1(0);
    tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &ls};
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &e);
    e.data.ptr = &tfd;
    epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &e);
    socklen_t al = sizeof a;
    getsockname(ls, (void *)&a, &al);
    printf("mockup: port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    static struct epoll_event ev[512];
    while (!stop) {
        int k = epoll_wait(ep, ev, 512, 1000);
        for (int i = 0; i < k; i++) {
            if (ev[i].data.ptr == &ls) {
                for (int fd; (fd = accept4(ls, 0, 0, SOCK_NONBLOCK)) >= 0;) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    struct conn *c = calloc(1, sizeof *c);
                    c->fd = fd;
                    struct epoll_event x = {.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &x);
                }
                continue;
            }
            if (ev[i].data.ptr == &tfd) {
                uint64_t x;
                (void)!read(tfd, &x, 8);
                rearm = 1;
                continue;
            }
            struct conn *c = ev[i].data.ptr;
            int bad = 0;
            if (ev[i].events & EPOLLOUT)
                bad = flush(c) < 0;
            if (!bad && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
                for (;;) {
                    if (c->incap - c->inlen < 4096)
                        c->in = realloc(c->in, c->incap = c->incap ? c->incap * 2 : 16384);
                    size_t room = c->incap - c->inlen;
                    ssize_t r = recv(c->fd, c->in + c->inlen, room, 0);
                    if (r > 0) {
                        c->inlen += r;
                        if ((size_t)r == room)
                            continue;
                        break;
                    }
                    if (!r || errno != EAGAIN)
                        bad = 1;
                    break;
                }
                if (!bad)
                    bad = serve(c) < 0;
            }
            if (bad)
                drop(c);
        }
        uint64_t t = now_ns();
        while (hn && heap[0]->due <= t) {
            struct conn *c = heap[0];
            hdel(c);
            int r = step(c);
            if (r < 0)
                drop(c);
            else if (r) {
                c->busy = 0;
                if (serve(c) < 0)
                    drop(c);
            } else
                hadd(c);
        }
        set_timer();
    }
    return 0;
}
