#include "config/schema.h"

namespace backplane::config {

namespace {

using Fields = std::vector<Schema::Field>;

/// Schemas share their fields when copied, so adding one makes a new list.
std::shared_ptr<const Fields> with(const Fields& fields, Schema::Field added) {
  auto longer = std::make_shared<Fields>(fields);
  longer->push_back(std::move(added));
  return longer;
}

}  // namespace

Schema Schema::map() {
  Schema schema;
  schema.fields_ = std::make_shared<const Fields>();
  return schema;
}

Schema Schema::boolean() {
  Schema schema = map();
  schema.kind_ = Kind::boolean;
  return schema;
}

Schema Schema::integer() {
  Schema schema = map();
  schema.kind_ = Kind::integer;
  return schema;
}

Schema Schema::number() {
  Schema schema = map();
  schema.kind_ = Kind::number;
  return schema;
}

Schema Schema::text() { return text_of({}); }

Schema Schema::text_of(std::vector<std::string> choices) {
  Schema schema = map();
  schema.kind_ = Kind::text;
  schema.choices_ = std::move(choices);
  return schema;
}

Schema Schema::duration() {
  Schema schema = map();
  schema.kind_ = Kind::duration;
  schema.max_ = 1e9;  // so that epochs times steps of an epoch have 64 bits
  return schema;
}

Schema Schema::tensor() {
  Schema schema = map();
  schema.kind_ = Kind::tensor;
  return schema;
}

Schema Schema::list(Schema item) {
  Schema schema = map();
  schema.kind_ = Kind::list;
  schema.first_ = std::make_shared<const Schema>(std::move(item));
  return schema;
}

Schema Schema::choice(std::string noun) {
  Schema schema = map();
  schema.kind_ = Kind::choice;
  schema.noun_ = std::move(noun);
  return schema;
}

Schema Schema::either(Schema scalar_form, Schema other_form) {
  Schema schema = map();
  schema.kind_ = Kind::either;
  schema.first_ = std::make_shared<const Schema>(std::move(scalar_form));
  schema.second_ = std::make_shared<const Schema>(std::move(other_form));
  return schema;
}

Schema& Schema::at_least(double value) {
  min_ = value;
  min_exclusive_ = false;
  return *this;
}

Schema& Schema::above(double value) {
  min_ = value;
  min_exclusive_ = true;
  return *this;
}

Schema& Schema::at_most(double value) {
  max_ = value;
  max_exclusive_ = false;
  return *this;
}

Schema& Schema::below(double value) {
  max_ = value;
  max_exclusive_ = true;
  return *this;
}

Schema& Schema::items(std::size_t min, std::size_t max) {
  min_items_ = min;
  max_items_ = max;
  return *this;
}

Schema& Schema::hint(std::string text) {
  hint_ = std::move(text);
  return *this;
}

Schema& Schema::nullable() {
  nullable_ = true;
  return *this;
}

Schema& Schema::required(std::string name, Schema schema, std::string doc) {
  fields_ = with(fields(), {std::move(name), std::move(schema), true, std::nullopt, std::move(doc)});
  return *this;
}

Schema& Schema::optional(std::string name, Schema schema, std::optional<std::string> default_yaml, std::string doc) {
  fields_ = with(fields(), {std::move(name), std::move(schema), false, std::move(default_yaml), std::move(doc)});
  return *this;
}

Schema& Schema::alternative(std::string name, Schema schema, std::string doc) {
  return optional(std::move(name), std::move(schema), std::nullopt, std::move(doc));
}

}  // namespace backplane::config
