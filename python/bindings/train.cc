// Training: one function that takes a whole run, and the parameter table.
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "evergrove/base/byte_size.h"
#include "evergrove/runtime/training_run.h"
#include "metrics_dict.h"
#include "module.h"
#include "python_progress.h"
#include "settings.h"
#include "status_error.h"

namespace nb = nanobind;

namespace evergrove::bindings {
namespace {

// Checks parameters without training. Returns the notes on names of other libraries.
std::vector<std::string> check_parameters(const TextPairs& settings) {
  std::vector<std::string> notes;
  bool objective_is_chosen = false;
  raise_if_error(make_parameters(settings, objective_is_chosen, &notes).status());
  return notes;
}

runtime::TrainingReport run(const Source& data, const std::string& label, const TextPairs& settings,
                            const std::vector<std::pair<std::string, Source>>& valid,
                            double valid_fraction, const std::string& weight,
                            const std::vector<std::string>& exclude,
                            const std::vector<std::string>& categorical, int threads,
                            const std::string& log_folder, bool resume, const std::string& memory,
                            const std::string& cache_folder, const std::string& model_path,
                            const model::Model* continue_from, nb::object progress,
                            bool every_iteration) {
  runtime::TrainingRequest request;
  request.parameters =
      value_or_raise(make_parameters(settings, request.data.objective_is_chosen, nullptr));
  request.data.data = data.rows;
  for (const auto& [name, source] : valid) request.data.valid.push_back({name, source.rows});
  request.data.valid_fraction = valid_fraction;
  request.data.label = label;
  request.data.weight = weight;
  request.data.exclude = exclude;
  request.data.categorical = categorical;
  request.threads = threads;
  request.log_folder = log_folder;
  request.resume = resume;
  request.model_path = model_path;
  if (!memory.empty()) request.memory_bytes = value_or_raise(parse_byte_size("memory", memory));
  request.cache_folder = cache_folder;
  if (continue_from != nullptr) request.continue_from = *continue_from;
  PythonProgress python_progress(std::move(progress), every_iteration);
  request.progress = [&](const runtime::TrainingProgress& step) {
    return python_progress.step(step);
  };
  Result<runtime::TrainingReport> result = [&] {
    nb::gil_scoped_release release;
    return runtime::train(request);
  }();
  python_progress.rethrow();
  return value_or_raise(std::move(result));
}

// Name, type, default, range, aliases, documentation of each parameter.
auto parameter_table() {
  using Row = std::tuple<std::string_view, std::string_view, std::string_view, std::string_view,
                         std::vector<std::string_view>, std::string_view>;
  std::vector<Row> rows;
  for (const train::ParameterInfo& info : train::parameter_table()) {
    rows.emplace_back(info.name, info.type, info.default_text, info.range, info.aliases,
                      info.documentation);
  }
  return rows;
}

}  // namespace

void init_train(nb::module_& module) {
  using runtime::TrainingReport;
  nb::class_<TrainingReport>(module, "TrainingReport")
      .def_ro("model", &TrainingReport::model)
      .def_prop_ro("metrics",
                   [](const TrainingReport& report) { return metrics_dict(report.metrics); })
      .def_ro("digest", &TrainingReport::digest)
      .def_ro("seconds_read", &TrainingReport::seconds_read)
      .def_ro("seconds_bins", &TrainingReport::seconds_bins)
      .def_ro("seconds_train", &TrainingReport::seconds_train)
      .def_ro("seconds_log", &TrainingReport::seconds_log)
      .def_ro("seconds_total", &TrainingReport::seconds_total)
      .def_ro("peak_rss_bytes", &TrainingReport::peak_rss_bytes)
      .def_ro("row_count", &TrainingReport::row_count)
      .def_ro("feature_count", &TrainingReport::feature_count)
      .def_ro("resumed_iterations", &TrainingReport::resumed_iterations)
      .def_ro("notes", &TrainingReport::notes);
  module.def("train", &run, nb::arg("data"), nb::arg("label"), nb::arg("settings"),
             nb::arg("valid"), nb::arg("valid_fraction"), nb::arg("weight"), nb::arg("exclude"),
             nb::arg("categorical"), nb::arg("threads"), nb::arg("log_folder"), nb::arg("resume"),
             nb::arg("memory"), nb::arg("cache_folder"), nb::arg("model_path"),
             nb::arg("continue_from").none(), nb::arg("progress").none(),
             nb::arg("every_iteration"));
  module.def("check_parameters", &check_parameters, nb::arg("settings"));
  module.def("parameter_table", &parameter_table);
}

}  // namespace evergrove::bindings
