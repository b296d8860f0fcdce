// However the data is cut into parts and in whatever order they answer: the header is that of
// prepare(), to the bit, and what is refused is refused with its words.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/description.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "evergrove/train/gradient_scale.h"
#include "evergrove/train/testing_run.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;
using table::ColumnKind;
using table::ColumnValues;

template <typename Value>
Value through_bytes(const Value& value) {
  ByteWriter out;
  value.encode(out);
  ByteReader in(out.bytes());
  Result<Value> again = Value::decode(in);
  EXPECT_TRUE(again.ok() && in.at_end());
  // Every shorter prefix is refused.
  const size_t size = out.bytes().size();
  for (const size_t cut : {size / 3, size / 2, size - 1}) {
    ByteReader cut_off(std::string_view(out.bytes()).substr(0, cut));
    EXPECT_FALSE(Value::decode(cut_off).ok());
  }
  return std::move(*again);
}

// Asks for parts of about rows_wanted rows, or of some columns of all rows, as the seed has it, and
// gives the answers in a chance order.
Result<RunDescription> describe_in_parts(const DataSpec& spec, const Parameters& parameters,
                                         const RunHeader* known, uint64_t rows_wanted,
                                         uint64_t seed) {
  EVERGROVE_ASSIGN_OR_RETURN(Description description, Description::begin(spec, parameters, known));
  const RandomKey key(seed, "order");
  PartDescriber describer(spec);
  for (uint64_t phase = 0; !description.is_complete(); ++phase) {
    std::vector<PartRequest> requests = description.requests(
        {.rows = rows_wanted, .column_parts = static_cast<uint32_t>(seed % 4)});
    for (size_t i = requests.size(); i > 1; --i) {
      std::swap(requests[i - 1], requests[key.at(1000 * phase + i) % i]);
    }
    for (const PartRequest& request : requests) {
      const PartRequest sent = through_bytes(request);
      EXPECT_EQ(sent, request);
      EVERGROVE_ASSIGN_OR_RETURN(const PartFacts facts, describer.describe(sent));
      EVERGROVE_RETURN_IF_ERROR(description.add(request, through_bytes(facts)));
    }
    EVERGROVE_RETURN_IF_ERROR(description.end_phase());
  }
  return description.finish();
}

template <typename Value>
bool is_taken(const Value& value) {
  ByteWriter out;
  value.encode(out);
  ByteReader in(out.bytes());
  return Value::decode(in).ok();
}

TEST(Description, TakesNoNumbersThatRowsCannotHave) {
  for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (double LabelFacts::*of :
         {&LabelFacts::too_large_value, &LabelFacts::held_out_weight_max, &LabelFacts::largest}) {
      LabelFacts facts;
      EXPECT_TRUE(is_taken(facts));
      facts.*of = number;
      EXPECT_FALSE(is_taken(facts)) << number;
    }
    LabelFacts facts;
    facts.all.weight_max = number;
    EXPECT_FALSE(is_taken(facts)) << number;
    LabelSumsRequest request;
    EXPECT_TRUE(is_taken(request));
    request.weight_max = number;
    EXPECT_FALSE(is_taken(request)) << number;
  }
  for (const int32_t exponent : {1001, -1001, INT32_MAX, INT32_MIN}) {
    LabelSumsRequest request;
    request.value_exponent = exponent;
    EXPECT_FALSE(is_taken(request)) << exponent;
  }
}

TEST(Description, InAnyPartsAndOrderIsThatOfPrepare) {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run({.objective = static_cast<ObjectiveKind>(seed % 3),
                          .row_count = 700 + seed * 31,
                          .block_rows = 10 + seed * 7,
                          .weighted = seed % 2 == 0,
                          .valid_fraction = seed % 4 < 2 ? 0.3 : 0,
                          .has_valid_source = seed % 5 != 0,
                          .seed = seed});
    Parameters parameters = run.parameters;
    if (parameters.objective == ObjectiveKind::binary) parameters.scale_pos_weight = 1 + seed % 3;
    const auto prepared = prepare(run.spec, parameters, nullptr, nullptr);
    ASSERT_TRUE(prepared.ok()) << prepared.status().message();
    for (const auto& source : run.sources) source->may_ask_manifest = true;
    const auto found = describe_in_parts(run.spec, parameters, nullptr, 1 + seed * 17, seed);
    ASSERT_TRUE(found.ok()) << found.status().message();
    EXPECT_EQ(encode_header(found->header), encode_header(prepared->header));
    const Dataset& train = prepared->data.train;
    EXPECT_EQ(found->weight_facts,
              WeightFacts::of(parameters, train.classes, train.weights, train.row_count()));
    // A run that is resumed has its features, and nobody has to find them again.
    const auto again = describe_in_parts(run.spec, parameters, &prepared->header, 100, seed + 1);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(encode_header(again->header), encode_header(prepared->header));
    EXPECT_EQ(again->weight_facts, found->weight_facts);
    EXPECT_EQ(again->weight_max_by_set, found->weight_max_by_set);
  }
}

TEST(Description, StartsMarginsAtTheMeanOfAllParts) {
  // The slow and obvious way, in long doubles.
  const TestingRun run({.objective = ObjectiveKind::regression, .valid_fraction = 0});
  const PreparedData prepared = run.prepared();
  long double sum = 0;
  long double weights = 0;
  for (size_t row = 0; row < prepared.data.train.row_count(); ++row) {
    const long double weight = prepared.data.train.weights[row];
    sum += weight * prepared.data.train.targets[row];
    weights += weight;
  }
  const auto found = describe_in_parts(run.spec, run.parameters, nullptr, 90, 3);
  ASSERT_TRUE(found.ok());
  EXPECT_NEAR(std::ldexp(double(found->header.base_margins[0]), found->header.value_exponent),
              double(sum / weights), 1e-5);
}

TEST(Description, RefusesBadRowsOfAnyPartWithTheWordsOfPrepare) {
  for (const ObjectiveKind objective :
       {ObjectiveKind::binary, ObjectiveKind::multiclass, ObjectiveKind::regression}) {
    for (TestingShape shape : {TestingShape{.objective = objective, .bad_label_row = 777},
                               TestingShape{.objective = objective, .bad_weight_row = 1103},
                               TestingShape{.objective = objective, .row_count = 0},
                               TestingShape{.objective = objective, .valid_fraction = 1e-9}}) {
      const TestingRun run(shape);
      const auto prepared = prepare(run.spec, run.parameters, nullptr, nullptr);
      const auto found = describe_in_parts(run.spec, run.parameters, nullptr, 100, 1);
      ASSERT_FALSE(prepared.ok());
      ASSERT_FALSE(found.ok());
      EXPECT_EQ(found.status().message(), prepared.status().message());
    }
  }
}

// A data set of one feature, and a label as given.
DataSpec spec_of(const std::vector<double>& labels) {
  std::vector<double> x(labels.size());
  for (size_t row = 0; row < x.size(); ++row) x[row] = double(row % 17);
  DataSpec spec;
  spec.data = std::make_shared<table::MemorySource>(
      std::vector<table::ColumnSpec>{{"x", ColumnKind::numeric, "double"},
                                     {"y", ColumnKind::numeric, "double"}},
      std::vector<ColumnValues>{ColumnValues::of(x), ColumnValues::of(labels)}, labels.size(), 16);
  spec.label = "y";
  return spec;
}

TEST(Description, ChoosesTheObjectiveByTheLabelsOfAllParts) {
  // No part of 16 rows has more than two values, all of them together have.
  std::vector<double> labels;
  for (size_t row = 0; row < 64; ++row) labels.push_back(double(row / 16) + double(row % 2) / 8.0);
  const auto many = describe_in_parts(spec_of(labels), {}, nullptr, 16, 0);
  ASSERT_TRUE(many.ok()) << many.status().message();
  EXPECT_EQ(many->header.parameters.objective, ObjectiveKind::regression);
  // Each part alone would be constant.
  for (size_t row = 0; row < 64; ++row) labels[row] = row < 32 ? -0.0 : 1;
  const auto two = describe_in_parts(spec_of(labels), {}, nullptr, 16, 0);
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_EQ(two->header.parameters.objective, ObjectiveKind::binary);
  EXPECT_EQ(two->header.classes, (std::vector<std::string>{"0", "1"}));
}

TEST(Description, OfMoreClassesThanThereMayBeIsRefusedAsByPrepare) {
  std::vector<double> labels;
  for (size_t row = 0; row < 3000; ++row) labels.push_back(double(row * 7 % 1500));
  DataSpec spec = spec_of(labels);
  spec.objective_is_chosen = true;
  Parameters parameters;
  parameters.objective = ObjectiveKind::multiclass;
  const auto prepared = prepare(spec, parameters, nullptr, nullptr);
  const auto found = describe_in_parts(spec, parameters, nullptr, 16, 0);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().message(), prepared.status().message());
}

TEST(Description, NamesTheFirstRowThatIsTooLarge) {
  std::vector<double> labels;
  for (size_t row = 0; row < 200; ++row) labels.push_back(double(row));
  labels[150] = 3e100;
  labels[77] = -2e100;
  const auto prepared = prepare(spec_of(labels), {}, nullptr, nullptr);
  const auto found = describe_in_parts(spec_of(labels), {}, nullptr, 16, 0);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().message(), prepared.status().message());
  EXPECT_NE(found.status().message().find("row: 77"), std::string::npos);
}

TEST(Description, TakesNoAnswerToAnotherQuestion) {
  const TestingRun run({});
  auto description = Description::begin(run.spec, run.parameters, nullptr);
  ASSERT_TRUE(description.ok());
  const std::vector<PartRequest> requests = description->requests({.rows = 100});
  EXPECT_EQ(description->add(requests[0], {}).kind(), StatusKind::corrupt);
  PartRequest beyond = requests[0];
  beyond.first_column = 7;
  EXPECT_EQ(PartDescriber(run.spec).describe(beyond).status().kind(), StatusKind::corrupt);
  beyond = requests[0];
  beyond.part.first_row += 1;
  EXPECT_EQ(PartDescriber(run.spec).describe(beyond).status().kind(), StatusKind::invalid_input);
}

TEST(Description, TakesNoCutsOfMoreBinsThanItAskedFor) {
  const TestingRun run({});
  auto description = Description::begin(run.spec, run.parameters, nullptr);
  ASSERT_TRUE(description.ok());
  Status end;
  while (end.ok() && !description->is_complete()) {
    for (const PartRequest& request : description->requests({.rows = 100, .column_parts = 1})) {
      auto facts = PartDescriber(run.spec).describe(request);
      ASSERT_TRUE(facts.ok());
      for (ColumnFacts& column : facts->columns) {
        if (column.cuts) column.cuts->resize(request.cut_bins);
      }
      EXPECT_TRUE(description->add(request, *std::move(facts)).ok());
    }
    end = description->end_phase();
  }
  EXPECT_EQ(end.kind(), StatusKind::corrupt);
}

TEST(Description, ReadsNoMoreOfAPartThatNobodyWants) {
  const TestingRun run({});
  auto description = Description::begin(run.spec, run.parameters, nullptr);
  ASSERT_TRUE(description.ok());
  const auto requests = description->requests({.rows = 100, .column_parts = 1});
  const auto facts = PartDescriber(run.spec).describe(requests.back(), [] { return false; });
  EXPECT_EQ(facts.status().kind(), StatusKind::interrupted);
}

}  // namespace
}  // namespace evergrove::train
