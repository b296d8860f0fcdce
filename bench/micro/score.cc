// Margins of 200,000 x 28 rows by 100 trees of 255 leaves: what scoring costs without reading.
//
//   score_bench --benchmark_filter=margins/1
// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cmath>

#include "evergrove/base/check.h"
#include "evergrove/base/hash.h"
#include "evergrove/score/scorer.h"
#include "evergrove/table/memory_source.h"
#include "evergrove/train/trainer.h"

namespace evergrove::score {
namespace {

constexpr size_t kRows = 200'000;
constexpr size_t kFeatures = 28;

// Numbers of which some say something together, as float32, which most data comes in.
std::shared_ptr<table::MemorySource> make_source() {
  const RandomKey key(7, "numbers");
  const auto uniform = [&](size_t row, size_t what) {
    return double(key.at(row * 64 + what) >> 11) * 0x1p-53;
  };
  std::vector<table::ColumnSpec> schema;
  std::vector<table::ColumnValues> columns;
  for (size_t f = 0; f < kFeatures; ++f) {
    auto values = std::make_shared<std::vector<float>>(kRows);
    for (size_t row = 0; row < kRows; ++row) (*values)[row] = float(uniform(row, f));
    table::ColumnValues column;
    column.f32 = *values;
    column.owner = values;
    schema.push_back({"x" + std::to_string(f), table::ColumnKind::numeric, "float"});
    columns.push_back(std::move(column));
  }
  std::vector<double> label(kRows);
  for (size_t row = 0; row < kRows; ++row) {
    double signal = 0;
    for (size_t f = 0; f + 1 < kFeatures; ++f) {
      signal += std::sin(7 * double(columns[f].f32[row]) + 3 * double(columns[f + 1].f32[row]));
    }
    label[row] = 1 / (1 + std::exp(-signal)) > uniform(row, 63) ? 1 : 0;
  }
  schema.push_back({"label", table::ColumnKind::numeric, "double"});
  columns.push_back(table::ColumnValues::of(std::move(label)));
  return std::make_shared<table::MemorySource>(schema, columns, kRows, kRows);
}

struct Problem {
  std::shared_ptr<table::MemorySource> source = make_source();
  model::Model model;
  table::RowBlock block;

  Problem() {
    train::DataSpec spec;
    spec.data = source;
    spec.label = "label";
    train::Parameters parameters;
    parameters.max_leaves = 255;
    auto prepared = train::prepare(spec, parameters, nullptr, nullptr);
    CHECK(prepared.ok());
    auto trainer = train::Trainer::create(prepared->header, std::move(prepared->data));
    CHECK(trainer.ok());
    while (!(*trainer)->finished()) CHECK((*trainer)->next().ok());
    model = (*trainer)->model();
    std::vector<size_t> columns;
    for (size_t f = 0; f < kFeatures; ++f) columns.push_back(f);
    block = *source->read(0, columns);
  }
};

void margins(benchmark::State& state) {
  static const Problem problem;
  const auto threads = static_cast<int>(state.range(0));
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, threads);
  tbb::task_arena arena(threads);
  const Scorer scorer(problem.model);
  std::vector<int64_t> sums(kRows);
  for (auto _ : state) arena.execute([&] { scorer.margins(problem.block, sums); });
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}

BENCHMARK(margins)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace evergrove::score

BENCHMARK_MAIN();
