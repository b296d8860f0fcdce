// The records of a run: what the coordinator of a training run decides, as values and as bytes.
//
// A run is a header, then one record an iteration; the model is a function of these alone, and a
// worker's state is a function of them and of its rows. docs/formats/log.md gives the bytes. The
// framing (length, checksum, torn writes) is runtime/run_log.h's.
// Decoding takes any bytes and answers corrupt or unsupported; it never takes memory that the
// bytes do not justify.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"
#include "evergrove/train/parameters.h"

namespace evergrove::train {

// What is fixed before the first tree.
struct RunHeader {
  Parameters parameters;
  std::string label;
  std::string weight;  // empty: none
  double valid_fraction = 0;
  std::vector<std::string> valid_names;  // names of the evaluation sets
  std::vector<std::string> classes;
  std::vector<model::Feature> features;  // with cuts and categories
  int32_t value_exponent = -32;
  std::vector<int64_t> base_margins;
  table::Manifest manifest;                      // training data
  std::vector<table::Manifest> valid_manifests;  // by valid_names, without the fraction's
};

// One boosting iteration: a tree an output, and the metrics after it.
struct Iteration {
  uint64_t index = 0;  // from 0
  std::vector<model::Tree> trees;
  std::vector<model::MetricValue> metrics;
};

std::string encode_header(const RunHeader& header);
Result<RunHeader> decode_header(std::string_view bytes);
std::string encode_iteration(const Iteration& iteration);
Result<Iteration> decode_iteration(std::string_view bytes);

}  // namespace evergrove::train
