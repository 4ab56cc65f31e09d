//! The schemas from which the CDK library makes its types, and with which it checks properties.

use std::{env, fs, path::Path};

use cognito_m2m::{model::ResourceType, properties::schema};

#[test]
fn the_schemas_of_the_cdk_library_are_those_of_the_provider() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cdk/schemas");
    for resource_type in ResourceType::ALL {
        let name = resource_type.as_str().trim_start_matches("Custom::");
        let path = folder.join(format!("{name}.json"));
        let expected = format!("{:#}\n", schema(resource_type));
        if env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == expected,
            "cdk/schemas/{name}.json is not up to date: UPDATE_SCHEMAS=1 cargo test cdk_schemas, then \
             python3 cdk/generate.py"
        );
    }
}
