/*
 * admin - what an operator asks: is it alive, is it ready, what does it do. Tells no secrets.
 *
 * Words:   the paths and forms of Spring Boot's actuator, which the first Pushca had.
 * Thread:  the connection's shard.
 */
#pragma once

struct request;

void admin_links(struct request *q);
void admin_health(struct request *q);
void admin_liveness(struct request *q);
void admin_readiness(struct request *q);
void admin_cluster(struct request *q);
void admin_cluster_clients(struct request *q);
void admin_info(struct request *q);
void admin_metrics(struct request *q);
void admin_metric(struct request *q); /* admin_metric.c */
void admin_prometheus(struct request *q);
