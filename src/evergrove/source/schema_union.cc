// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/schema_union.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>

#include <numeric>
#include <unordered_map>

#include "evergrove/source/column_type.h"
#include "evergrove/source/data_file.h"

namespace evergrove::source {
namespace {

using FieldOfName = std::unordered_map<std::string, int>;

Result<FieldOfName> distinct_names(const arrow::Schema& schema, const std::string& path) {
  FieldOfName fields;
  for (int i = 0; i < schema.num_fields(); ++i) {
    if (fields.emplace(schema.field(i)->name(), i).second) continue;
    return invalid_input("Two columns have the same name; rename one of them",
                         {{"column", schema.field(i)->name()}, {"file", path}});
  }
  return fields;
}

Status refuse_missing(const std::string& column, const std::string& with,
                      const std::string& without) {
  return invalid_input(
      "The parts of a data set must have the same columns, but one lacks a column of another; add "
      "it or remove it",
      {{"column", column}, {"in", with}, {"not in", without}});
}

// The type that values of both fit into, or null if they are not of one class.
std::shared_ptr<arrow::DataType> common_type(const std::shared_ptr<arrow::DataType>& a,
                                             const std::shared_ptr<arrow::DataType>& b) {
  if (a->Equals(*b)) return a;
  const ValueClass class_a = value_class(*a);
  const ValueClass class_b = value_class(*b);
  if (class_a == ValueClass::null) return b;
  if (class_b == ValueClass::null) return a;
  if (class_a != class_b) return nullptr;
  const auto options = arrow::Field::MergeOptions::Permissive();
  const auto merged = arrow::field("", a)->MergeWith(arrow::field("", b), options);
  if (merged.ok()) return (*merged)->type();
  switch (class_a) {
    case ValueClass::number:
      return arrow::float64();
    case ValueClass::text:
      return arrow::utf8();
    default:
      return nullptr;
  }
}

Status refuse_types(const std::string& column, const arrow::DataType& here,
                    const std::string& here_path, const arrow::DataType& there,
                    const std::string& there_path) {
  return invalid_input(
      "The parts of a data set must agree on what a column holds; convert it in one of them",
      {{"column", column},
       {"in " + here_path, here.ToString()},
       {"in " + there_path, there.ToString()}});
}

}  // namespace

Result<SchemaUnion> unify_schemas(std::span<const std::shared_ptr<arrow::Schema>> schemas,
                                  std::span<const std::string> paths, const OpenOptions& options) {
  const arrow::Schema& first = *schemas[0];
  EVERGROVE_ASSIGN_OR_RETURN(const FieldOfName first_fields, distinct_names(first, paths[0]));
  const int column_count = first.num_fields();
  std::vector<int> identity(column_count);
  std::iota(identity.begin(), identity.end(), 0);
  const auto same_places = std::make_shared<const std::vector<int>>(std::move(identity));
  std::vector<std::shared_ptr<arrow::DataType>> types;
  for (const auto& field : first.fields()) types.push_back(field->type());
  std::vector<size_t> type_giver(column_count, 0);  // a file that has the type, for messages

  SchemaUnion result;
  for (size_t f = 0; f < schemas.size(); ++f) {
    result.places.push_back(same_places);
    if (f == 0 || schemas[f]->Equals(first, /*check_metadata=*/false)) continue;
    EVERGROVE_ASSIGN_OR_RETURN(const FieldOfName fields, distinct_names(*schemas[f], paths[f]));
    for (const auto& field : schemas[f]->fields()) {
      if (first_fields.contains(field->name())) continue;
      return refuse_missing(field->name(), paths[f], paths[0]);
    }
    std::vector<int> places;
    for (int i = 0; i < column_count; ++i) {
      const std::string& name = first.field(i)->name();
      const auto found = fields.find(name);
      if (found == fields.end()) return refuse_missing(name, paths[0], paths[f]);
      const auto& type = schemas[f]->field(found->second)->type();
      const auto common = common_type(types[i], type);
      if (common == nullptr) {
        return refuse_types(name, *types[i], paths[type_giver[i]], *type, paths[f]);
      }
      if (!common->Equals(*types[i])) type_giver[i] = f;
      types[i] = common;
      places.push_back(found->second);
    }
    result.places.back() = std::make_shared<const std::vector<int>>(std::move(places));
  }

  arrow::FieldVector fields;
  for (int i = 0; i < column_count; ++i) {
    fields.push_back(arrow::field(first.field(i)->name(), types[i]));
    result.columns.columns.push_back(column_spec(*fields.back(), options));
  }
  result.arrow = arrow::schema(std::move(fields));
  return result;
}

Result<std::shared_ptr<arrow::RecordBatch>> conform(std::shared_ptr<arrow::RecordBatch> batch,
                                                    const arrow::Schema& schema,
                                                    std::span<const size_t> columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& field = schema.field(static_cast<int>(columns[i]));
    std::shared_ptr<arrow::Array> array = batch->column(static_cast<int>(i));
    if (!array->type()->Equals(*field->type())) {
      auto cast = arrow::compute::Cast(*array, field->type(), arrow::compute::CastOptions::Safe());
      if (!cast.ok()) {
        return invalid_input(
            "A column cannot be given the type that it has in the other files; write one of them "
            "anew",
            {{"column", field->name()},
             {"type here", array->type()->ToString()},
             {"type there", field->type()->ToString()},
             {"error", brief(cast.status().message())}});
      }
      array = *cast;
    }
    fields.push_back(field);
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch->num_rows(),
                                  std::move(arrays));
}

}  // namespace evergrove::source
