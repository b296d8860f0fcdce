// The model: its file, what it says about itself, scoring and evaluation.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/model/model.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/predict.h"
#include "evergrove/runtime/scoring_options.h"
#include "metrics_dict.h"
#include "module.h"
#include "status_error.h"

namespace nb = nanobind;

namespace evergrove::bindings {
namespace {

using model::Model;
using runtime::PredictionKind;

Model load(const std::string& path) {
  const Result<Model> result = [&] {
    nb::gil_scoped_release release;
    return runtime::read_model(path);
  }();
  return value_or_raise(result);
}

void save(const Model& model, const std::string& path) {
  const Status status = [&] {
    nb::gil_scoped_release release;
    return runtime::write_model(model, path);
  }();
  raise_if_error(status);
}

nb::bytes to_bytes(const Model& model, bool compressed) {
  const std::string bytes = value_or_raise([&] {
    nb::gil_scoped_release release;
    return runtime::model_to_bytes(
        model, compressed ? runtime::ModelBytes::compressed : runtime::ModelBytes::plain);
  }());
  return nb::bytes(bytes.data(), bytes.size());
}

Model from_bytes(const nb::bytes& bytes) {
  return value_or_raise(runtime::model_from_bytes({bytes.c_str(), bytes.size()}));
}

std::vector<std::tuple<std::string, std::string_view, std::vector<std::string>>> features(
    const Model& model) {
  std::vector<std::tuple<std::string, std::string_view, std::vector<std::string>>> features;
  for (const model::Feature& feature : model.features) {
    const bool is_numeric = feature.kind == table::ColumnKind::numeric;
    features.emplace_back(feature.name, is_numeric ? "numeric" : "categorical", feature.categories);
  }
  return features;
}

// By feature: the sum over its splits of gain, of training rows, or of 1.
std::vector<double> importance(const Model& model, std::string_view kind) {
  if (kind != "gain" && kind != "cover" && kind != "split") {
    raise(invalid_input("The kind of importance is gain, split or cover",
                        {{"kind", std::string(kind)}}));
  }
  std::vector<double> sums(model.features.size(), 0.0);
  for (const model::Tree& tree : model.trees) {
    for (const model::Node& node : tree.nodes) {
      if (node.feature < 0) continue;
      double& sum = sums[static_cast<size_t>(node.feature)];
      if (kind == "gain") sum += node.gain;
      if (kind == "cover") sum += static_cast<double>(node.cover);
      if (kind == "split") sum += 1;
    }
  }
  return sums;
}

PredictionKind kind_of(std::string_view word) {
  if (word == "probability") return PredictionKind::probability;
  if (word == "margin") return PredictionKind::margin;
  if (word == "class") return PredictionKind::predicted_class;
  if (word == "leaf") return PredictionKind::leaf;
  raise(invalid_input("The kind of prediction is probability, margin, class or leaf",
                      {{"kind", std::string(word)}}));
}

// Gives the values to numpy without copying them. Always rows x width; Python drops a width of 1.
nb::ndarray<nb::numpy, double, nb::ndim<2>> predict(const runtime::Predictor& predictor,
                                                    const Source& source,
                                                    std::string_view kind_word, int threads) {
  const PredictionKind kind = kind_of(kind_word);
  Result<runtime::Predictions> result = [&] {
    nb::gil_scoped_release release;
    return predictor.predict(*source.rows, kind, threads);
  }();
  auto* predictions = new runtime::Predictions(value_or_raise(std::move(result)));
  nb::capsule owner(predictions, [](void* pointer) noexcept {
    delete static_cast<runtime::Predictions*>(pointer);
  });
  return {predictions->values.data(), {predictions->row_count, predictions->width}, owner};
}

std::pair<uint64_t, nb::dict> evaluate(const Model& model, const Source& source,
                                       const std::vector<std::string>& metrics, int threads) {
  const Result<runtime::Evaluation> result = [&] {
    nb::gil_scoped_release release;
    return runtime::evaluate(model, *source.rows, metrics, threads);
  }();
  const runtime::Evaluation evaluation = value_or_raise(result);
  nb::dict values;
  for (const model::MetricValue& metric : evaluation.metrics) {
    values[metric.name.c_str()] = metric.value;
  }
  return {evaluation.row_count, values};
}

}  // namespace

void init_model(nb::module_& module) {
  nb::class_<Model>(module, "Model")
      .def("save", &save, nb::arg("path"))
      .def("to_bytes", &to_bytes, nb::arg("compressed") = false)
      .def("digest", [](const Model& model) { return model::digest(model); })
      .def("importance", &importance, nb::arg("kind"))
      .def(
          "predictor", [](const Model& model) { return runtime::Predictor(model); },
          nb::keep_alive<0, 1>(), nb::call_guard<nb::gil_scoped_release>())
      .def("evaluate", &evaluate, nb::arg("source"), nb::arg("metrics"), nb::arg("threads"))
      .def_prop_ro("objective",
                   [](const Model& model) { return model::objective_name(model.objective); })
      .def_prop_ro("features", &features)
      .def_prop_ro("text_columns",
                   [](const Model& model) { return runtime::scoring_options(model).text; })
      .def_prop_ro("output_count", &Model::output_count)
      .def_prop_ro("tree_count", [](const Model& model) { return model.trees.size(); })
      .def_prop_ro("parameters_json",
                   [](const Model& model) { return model.metadata.parameters_json; })
      .def_prop_ro("label", [](const Model& model) { return model.metadata.label; })
      .def_prop_ro("weight", [](const Model& model) { return model.metadata.weight; })
      .def_prop_ro("classes", [](const Model& model) { return model.metadata.classes; })
      .def_prop_ro("row_count",
                   [](const Model& model) { return model.metadata.manifest.row_count; })
      .def_prop_ro("metrics",
                   [](const Model& model) {
                     nb::list rounds;
                     for (const auto& metrics : model.metadata.metrics) {
                       rounds.append(metrics_dict(metrics));
                     }
                     return rounds;
                   })
      .def_prop_ro("iteration_count",
                   [](const Model& model) { return model.metadata.iteration_count; })
      .def_prop_ro("best_iteration",
                   [](const Model& model) { return model.metadata.best_iteration; })
      .def_prop_ro("created_by", [](const Model& model) { return model.metadata.created_by; });
  nb::class_<runtime::Predictor>(module, "Predictor")
      .def("predict", &predict, nb::arg("source"), nb::arg("kind"), nb::arg("threads"));
  module.def("load", &load, nb::arg("path"));
  module.def("from_bytes", &from_bytes, nb::arg("bytes"));
}

}  // namespace evergrove::bindings
