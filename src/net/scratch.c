#include "net/scratch.h"

#include <string.h>
#include <time.h>
#include "base/clock.h"

struct bytes scratch_date(struct scratch *s)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t second = (time_t)(clock_wall_ms() / 1000);
    struct buf text = {0};
    struct tm t;

    if (second != s->date_s && gmtime_r(&second, &t)) {
        buf_printf(&text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
                   months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
        if (text.len < sizeof(s->date))
            memcpy(s->date, text.at, text.len);
        s->date[sizeof(s->date) - 1] = '\0';
        s->date_s = second;
        buf_fini(&text);
    }
    return bytes_text(s->date);
}
