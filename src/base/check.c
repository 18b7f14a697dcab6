#include "base/check.h"

#include <stdlib.h>
#include "base/log.h"

void check_failed(const char *file, int line, const char *what)
{
    log_fatal("broken invariant", LOG_STR("what", what), LOG_STR("file", file),
              LOG_NUM("line", line));
    abort();
}
