// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_status.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "evergrove/runtime/epoch.h"
#include "evergrove/runtime/log_store.h"
#include "evergrove/runtime/run_log.h"
#include "evergrove/source/store.h"
#include "evergrove/train/run_history.h"

namespace evergrove::runtime {

Result<LogStatus> log_status(const std::string& place) {
  LogStatus status;
  status.log = source::without_credentials(place);
  EVERGROVE_ASSIGN_OR_RETURN(RunLogContents log, read_run_log(place));
  if (!log.header) {
    return not_found("No run has begun in this log yet; is it the right place?",
                     {{"log", status.log}});
  }
  // A single file of a log has no epochs beside it.
  if (Result<uint64_t> epoch = current_epoch(place); epoch.ok()) status.epoch = *epoch;
  const train::RunHeader& header = *log.header;
  status.iterations_max = uint64_t(header.parameters.n_estimators);
  status.trees_an_iteration = header.base_margins.size();
  status.row_count = header.manifest.row_count;
  status.feature_count = header.features.size();
  status.label = header.label;
  status.objective = model::objective_name(header.parameters.objective);
  status.torn_bytes = log.torn_bytes;
  train::RunHistory history(header);
  for (train::Iteration& iteration : log.iterations) {
    status.metrics = iteration.metrics;
    history.keep(std::move(iteration));
  }
  status.iterations = history.iterations().size();
  status.is_finished = history.finished();
  if (header.parameters.early_stopping_rounds > 0) status.best_iteration = history.best_iteration();
  return status;
}

std::string log_status_json(const LogStatus& status, double per_minute) {
  using nlohmann::ordered_json;
  const uint64_t trees = status.trees_an_iteration;
  auto metrics = ordered_json::object();
  for (const model::MetricValue& metric : status.metrics) {
    metrics[metric.set][metric.name] =
        std::isfinite(metric.value) ? ordered_json(metric.value) : ordered_json();
  }
  ordered_json json = {{"state", status.is_finished ? "finished" : "unfinished"},
                       {"log", status.log},
                       {"epoch", status.epoch},
                       {"label", status.label},
                       {"objective", status.objective},
                       {"rows", status.row_count},
                       {"columns", status.feature_count},
                       {"iterations", status.iterations},
                       {"iterations_max", status.iterations_max},
                       {"trees", status.iterations * trees},
                       {"trees_max", status.iterations_max * trees},
                       {"best_iteration", status.best_iteration},
                       {"metrics", std::move(metrics)},
                       {"torn_bytes", status.torn_bytes}};
  const bool is_known = per_minute > 0;
  json["trees_per_minute"] = is_known ? ordered_json(per_minute * double(trees)) : ordered_json();
  const bool is_coming =
      is_known && !status.is_finished && status.iterations < status.iterations_max;
  const double left = double(status.iterations_max) - double(status.iterations);
  json["seconds_to_go"] = is_coming ? ordered_json(left / per_minute * 60) : ordered_json();
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace evergrove::runtime
