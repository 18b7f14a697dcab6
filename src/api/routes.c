#include "api/http_server.h"

#include "api/admin.h"
#include "api/pages.h"
#include "api/rest.h"

static const char json[] = "application/json";

const struct route routes[] = {
    {"/open-connection", TAKES_PATH, HTTP1_POST, json, rest_open_connection},
    {"/open-connection-pool", TAKES_PATH, HTTP1_POST, json, rest_open_connection_pool},
    {"/send-notification", TAKES_PATH, HTTP1_POST, json, rest_send},
    {"/send-notification-with-acknowledge", TAKES_PATH, HTTP1_POST, json, rest_send_acked},
    {"/actuator", TAKES_PATH, HTTP1_GET, json, admin_links},
    {"/actuator/health", TAKES_PATH, HTTP1_GET, json, admin_health},
    {"/actuator/health/liveness", TAKES_PATH, HTTP1_GET, json, admin_liveness},
    {"/actuator/health/readiness", TAKES_PATH, HTTP1_GET, json, admin_readiness},
    {"/actuator/cluster", TAKES_PATH, HTTP1_GET, json, admin_cluster},
    {"/actuator/cluster/clients", TAKES_PATH, HTTP1_GET, json, admin_cluster_clients},
    {"/actuator/info", TAKES_PATH, HTTP1_GET, json, admin_info},
    {"/actuator/metrics", TAKES_PATH, HTTP1_GET, json, admin_metrics},
    {"/actuator/metrics/", TAKES_PREFIX, HTTP1_GET, json, admin_metric},
    {"/actuator/prometheus", TAKES_PATH, HTTP1_GET, NULL, admin_prometheus},
    {"/pushca", TAKES_PATH, HTTP1_GET, json, page_asset},
    {"/pushca.yaml", TAKES_PATH, HTTP1_GET, NULL, page_asset},
    {"/pushca/swagger-config", TAKES_PATH, HTTP1_GET, json, page_swagger_config},
    {"/swagger-ui.html", TAKES_PATH, HTTP1_GET, NULL, page_swagger_redirect},
    {"/swagger-ui/", TAKES_PREFIX, HTTP1_GET, NULL, page_asset},
    {NULL, TAKES_PATH, HTTP1_OTHER, NULL, NULL},
};
