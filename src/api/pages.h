/*
 * pages - the OpenAPI document and the page that shows it.
 *
 * Thread:  the connection's shard.
 */
#pragma once

struct request;

void page_asset(struct request *q); /* the embedded file of that path */
void page_swagger_config(struct request *q);
void page_swagger_redirect(struct request *q);
